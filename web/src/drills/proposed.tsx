/** The drills that a session leads to. */

import type { Coaching } from "../api";

export function Proposed({ session, drills }: { session: string; drills: Coaching["drills"] }) {
  if (drills.length === 0) return null;
  return (
    <section aria-labelledby="drills-title">
      <h2 id="drills-title">To practise</h2>
      <ul class="drills">
        {drills.map(({ drill, title, why }) => (
          <li key={drill}>
            <a href={`/drills/${drill}?session=${session}`}>{title}</a>
            <p class="hint">{why}</p>
          </li>
        ))}
      </ul>
    </section>
  );
}
