/** The key numbers of a finished session, told as its report tells them. */

import type { Measure } from "./api";
import { printed } from "./format";
import { ENTRIES } from "./names";

const UNITS: Record<string, string> = { ratio: "", st: "semitones", "1/min": "a minute" };

export function Summary({ measures }: { measures: Record<string, Measure> }) {
  const keys = Object.entries(ENTRIES).flatMap(([key, name]) => (name.key && measures[key] ? [[name, measures[key]] as const] : []));
  return (
    <dl class="glance">
      {keys.map(([name, measure]) => {
        const percent = Boolean(name.percent) && measure.unit === "ratio";
        const print = (value: number) => printed(percent ? 100 * value : value, name.digits ?? 1);
        const unit = percent ? "%" : (UNITS[measure.unit] ?? measure.unit);
        return (
          <div key={name.label}>
            <dt>{name.label}</dt>
            {measure.value === null ? (
              <>
                <dd class="value none">Not measured</dd>
                <dd class="interval">{measure.why_missing}</dd>
              </>
            ) : (
              <>
                <dd class="value">
                  {print(measure.value)}
                  {unit && <span class={percent ? "unit tight" : "unit"}>{unit}</span>}
                </dd>
                <dd class="interval">
                  {measure.low === null || measure.high === null ? (
                    "No interval given"
                  ) : (
                    <>
                      95 % interval{" "}
                      <span>
                        {print(measure.low)} to {print(measure.high)}
                      </span>
                    </>
                  )}
                </dd>
              </>
            )}
            <dd class="says">{name.says}</dd>
          </div>
        );
      })}
    </dl>
  );
}
