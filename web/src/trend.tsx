/** How the scores of somebody's last sessions went, style by style: a small line for each, with its intervals. */

import { useEffect, useState } from "preact/hooks";
import { call, Problem, type Given, type Style } from "./api";
import { styles, usual } from "./style";

const FEWEST = 2; // sessions that make a line

interface Trend {
  style: string;
  dimensions: Record<string, string>;
  sessions: { session: string; title: string; created_at: string; scores: (Omit<Given, "refusal"> & { dimension: string })[] }[];
  left_out: number;
}

export function Trends() {
  const [found, setFound] = useState<{ trend: Trend; style: Style }[]>([]);
  const [chosen, setChosen] = useState("");

  async function load() {
    try {
      const known = await styles();
      const trends = await Promise.all(known.map(({ name }) => call<Trend>("GET", `/v1/progress?style=${name}`)));
      setFound(known.flatMap((style, index) => (trends[index] && trends[index].sessions.length >= FEWEST ? [{ trend: trends[index], style }] : [])));
      setChosen(usual(known));
    } catch (error) {
      if (!(error instanceof Problem)) throw error; // the list of sessions says what is wrong
    }
  }

  useEffect(() => void load(), []);
  const shown = found.find(({ style }) => style.name === chosen) ?? found[0];
  if (!shown) return null;
  const { trend, style } = shown;
  return (
    <section aria-labelledby="progress-title">
      <div class="bar">
        <h2 id="progress-title">Progress</h2>
        {found.length > 1 ? (
          <select aria-label="Style" value={style.name} onChange={({ currentTarget }) => setChosen(currentTarget.value)}>
            {found.map(({ style: { name, title } }) => (
              <option key={name} value={name}>
                {title}
              </option>
            ))}
          </select>
        ) : (
          <p class="hint">{style.title}</p>
        )}
      </div>
      <div class="trends">
        {Object.entries(trend.dimensions).map(([dimension, title]) => {
          const given = trend.sessions.map(({ scores }) => scores.find((one) => one.dimension === dimension));
          return given.some((one) => one?.value != null) && <Line key={dimension} title={title} given={given} />;
        })}
      </div>
      <p class="hint">
        Your last {trend.sessions.length} sessions, from 0 to 100 with the 95 % intervals.
        {trend.left_out > 0 && ` ${trend.left_out} more ${trend.left_out === 1 ? "was" : "were"} scored by another version of the rubric and ${trend.left_out === 1 ? "is" : "are"} left out.`}
      </p>
    </section>
  );
}

function Line({ title, given }: { title: string; given: readonly (Omit<Given, "refusal"> | undefined)[] }) {
  const x = (index: number) => 4 + (192 * index) / Math.max(given.length - 1, 1);
  const y = (value: number) => 57 - (54 * value) / 100;
  const strokes: string[] = [];
  const spans: string[] = [];
  let open = false;
  given.forEach((one, index) => {
    if (!one || one.value === null || one.low === null || one.high === null) {
      open = false;
      return;
    }
    strokes.push(`${open ? "L" : "M"}${x(index).toFixed(1)} ${y(one.value).toFixed(1)}${open ? "" : "h.1"}`);
    spans.push(`M${x(index).toFixed(1)} ${y(one.low).toFixed(1)}V${Math.min(y(one.high), y(one.low) - 0.5).toFixed(1)}`);
    open = true;
  });
  const last = given.findLast((one) => one && one.value !== null);
  const said = given.map((one) => (one?.value == null ? "none" : Math.round(one.value))).join(", ");
  return (
    <figure>
      <figcaption>
        <b>{title}</b> <span>{last?.value == null ? "no score" : Math.round(last.value)}</span>
      </figcaption>
      <svg viewBox="0 0 200 60" preserveAspectRatio="none" role="img" aria-label={`${title}, session by session: ${said}`}>
        <path class="scale" d="M0 57H200M0 3H200" />
        <path class="spans" d={spans.join("")} />
        <path class="line" d={strokes.join("")} />
      </svg>
    </figure>
  );
}
