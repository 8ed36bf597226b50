/** What is due, on the first page and on that of the drills. */

import { useEffect, useState } from "preact/hooks";
import { Problem } from "../api";
import { planOf, type Planned } from "./api";
import { day } from "./result";

export function Plan() {
  const [planned, setPlanned] = useState<Planned[]>([]);
  useEffect(() => {
    planOf().then(
      (plan) => setPlanned(plan.planned),
      (error: unknown) => {
        if (!(error instanceof Problem)) throw error; // what else the page shows says so
      },
    );
  }, []);
  const due = planned.filter(({ state }) => state !== "later");
  const later = planned.find(({ state }) => state === "later");
  if (planned.length === 0) return null;
  return (
    <section class="plan" aria-label="Your plan">
      <h2>Due today</h2>
      {due.length === 0 ? (
        <p class="hint">Nothing is due. {later && `Next: ${later.title}, ${day(later.due_on)}.`}</p>
      ) : (
        <p class="actions left">
          {due.map(({ drill, title, state }) => (
            <a key={drill} class="plain" href={`/drills/${drill}`}>
              {title}
              {state === "overdue" && <span class="hint">overdue</span>}
            </a>
          ))}
        </p>
      )}
    </section>
  );
}
