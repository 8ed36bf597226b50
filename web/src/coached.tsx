/** What is said first of a finished session: what went well, the one thing to work on, and what has changed. */

import type { Coaching, Difference } from "./api";
import { printed, when } from "./format";

export function Highlights({ found: { well, work_on, needs, phrased } }: { found: Coaching["highlights"] }) {
  const cards = (
    <div class="stands-out">
      {well && (
        <div>
          <h3>What went well</h3>
          <p>{well.sentence}</p>
        </div>
      )}
      {work_on && (
        <div>
          <h3>The one thing to work on</h3>
          <p>{work_on.sentence}</p>
        </div>
      )}
    </div>
  );
  return (
    <section aria-labelledby="stands-out-title">
      <h2 id="stands-out-title" class="quiet">
        What stands out
      </h2>
      {needs && <p class="note">{needs}</p>}
      {phrased ? (
        <>
          <p class="phrased">{phrased.text}</p>
          <p class="hint">Worded by the language model {phrased.model} from the measured numbers, which were checked.</p>
          <details>
            <summary>As measured</summary>
            {cards}
          </details>
        </>
      ) : (
        (well || work_on) && cards
      )}
    </section>
  );
}

export function Changes({ found: { since, baseline, refusal, dimensions } }: { found: Coaching["change"] }) {
  const most = Math.max(10, ...dimensions.flatMap(({ low, high }) => [-low, high]));
  return (
    <section aria-labelledby="change-title">
      <h2 id="change-title">Change</h2>
      {dimensions.length > 0 && (
        <>
          <p class="hint">
            {baseline ? `Against the mean of your ${baseline.sessions} sessions before this one.` : since && `Against your session before this one: ${when(since.created_at)}.`} The line is the 95 % interval
            of the difference.
            {baseline && " Where it leaves out 0, the change is more than your sessions differ anyway; by luck this happens in 1 of 20 scores at most."}
          </p>
          <ul class="scores changes">
            {dimensions.map((one) => (
              <li key={one.dimension} class={one.dimension === "overall" ? "overall" : ""}>
                <Row one={one} most={most} settled={baseline !== null && one.sessions > 1} />
              </li>
            ))}
          </ul>
        </>
      )}
      {refusal && <p class="hint">{refusal}</p>}
    </section>
  );
}

function Row({ one, most, settled }: { one: Difference; most: number; settled: boolean }) {
  const { title, before, now, difference, low, high, changed } = one;
  const x = (points: number) => 50 + (50 * points) / most;
  const said = changed ? (difference > 0 ? "▲ Higher" : "▼ Lower") : settled ? "No clear change" : "";
  return (
    <div class="row">
      <span class="name">
        {title}
        <span class={changed ? "verdict" : "hint"}>{said}</span>
      </span>
      <svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
        <path class="scale" d="M0 4H100" />
        <path class="zero" d="M50 -3V11" />
        <path class={changed ? "span" : "span unsure"} d={`M${x(low)} 4H${Math.max(x(high), x(low) + 1)}`} />
        <path class="mark" d={`M${x(difference)} -1V9`} />
      </svg>
      <span class="score">
        {signed(difference)}
        <span class="interval">
          {signed(low)} to {signed(high)}
        </span>
        <span class="interval from">
          {Math.round(before)} → {Math.round(now)}
        </span>
      </span>
    </div>
  );
}

const signed = (value: number) => (Math.round(value) > 0 ? "+" : "") + printed(Math.round(value) || 0, 0);
