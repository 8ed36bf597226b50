/** Scores from 0 to 100, each with what its measure's uncertainty leaves open, or with the reason why there is none. */

import type { Score } from "./api";

export function Scores({ scores }: { scores: readonly Score[] }) {
  return (
    <ul class="scores">
      {scores.map(({ dimension, title, source, value, low, high, refusal }) => (
        <li key={dimension} title={source}>
          <span class="name">{title}</span>
          {value === null || low === null || high === null ? (
            <span class="refusal">No score: {refusal}.</span>
          ) : (
            <>
              <svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
                <path class="scale" d="M0 4H100" />
                <path class="span" d={`M${low} 4H${Math.max(high, low + 1)}`} />
              </svg>
              <span class="score">
                {Math.round(value)}
                <span class="interval">
                  {Math.round(low)} to {Math.round(high)}
                </span>
              </span>
            </>
          )}
        </li>
      ))}
    </ul>
  );
}
