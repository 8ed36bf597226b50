/** What an attempt came to: at once from live numbers, then from the finished analysis, and when it is to be repeated. */

import { useEffect, useState } from "preact/hooks";
import { call, Problem } from "../api";
import { printed } from "../format";
import { attemptAt, type Attempt, type Condition, type Planned, type Result as Found } from "./api";

const AGAIN_MS = 1500;
const ENDED: readonly string[] = ["failed", "cancelled", "deleting"];

export function Result({ session, onAgain }: { session: string; onAgain: () => void }) {
  const [attempt, setAttempt] = useState<Attempt | null>(null);
  const [problem, setProblem] = useState("");

  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let over = false;
    const look = async () => {
      try {
        const found = await call<Attempt>("GET", attemptAt(session));
        setAttempt(found);
        setProblem("");
        over ||= found.settled !== null || ENDED.includes(found.state);
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        setProblem(error.message);
        over ||= !error.passing;
      }
      if (!over) timer = setTimeout(() => void look(), AGAIN_MS);
    };
    void look();
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [session]);

  const found = attempt?.settled ?? attempt?.live ?? null;
  return (
    <section class="drill-result" aria-label="Result">
      <h1>{found ? headline(found) : "Just a moment"}</h1>
      <p class="lead" role="status">
        {attempt?.settled
          ? "Settled by the finished analysis."
          : found
            ? "From the live numbers. The analysis of the recording settles it in a moment."
            : attempt && ENDED.includes(attempt.state)
              ? "The recording could not be analysed, so there is no result."
              : "The result is being worked out."}
      </p>
      {found?.missing && <p class="note">It cannot be judged: {found.missing}.</p>}
      {found && (
        <ul class="conditions">
          {found.conditions.map((one) => (
            <li key={one.measure} class={one.met === null ? "" : one.met ? "yes" : "no"}>
              <span class="name">{attempt?.rules.find(({ measure }) => measure === one.measure)?.title}</span>
              <span class="sum">{shown(one, one.value)}</span>
              <span class="hint">
                {one.met === null ? "Not measured" : one.met ? "Met" : "Not met"}: {wanted(one)}.
                {one.low !== null && one.high !== null && ` Between ${shown(one, one.low)} and ${shown(one, one.high)} (95 %).`}
                {one.met !== null && !one.sure && " Too little speech to be sure."}
              </span>
            </li>
          ))}
        </ul>
      )}
      {attempt?.settled && attempt.planned && <p>{next(attempt.planned, attempt.settled)}</p>}
      {problem && <p class="trouble">{problem}</p>}
      <p class="actions left">
        <button type="button" class="main" onClick={onAgain}>
          Once more
        </button>
        <a class="plain" href={`/sessions/${session}`}>
          The whole session
        </a>
        <a class="plain" href="/drills">
          All drills
        </a>
      </p>
    </section>
  );
}

const headline = ({ passed }: Found) => (passed === null ? "No result" : passed ? "Passed" : "Not yet");

function shown({ measure, unit }: Pick<Condition, "measure" | "unit">, value: number | null): string {
  if (value === null) return "–";
  return measure.endsWith("_share") ? `${printed(100 * value, 0)} %` : `${printed(value, unit === "ratio" ? 2 : 1)}${unit === "st" ? " st" : ""}`;
}

function wanted(one: Condition): string {
  if (one.limit_low !== null && one.limit_high !== null) return `wanted ${shown(one, one.limit_low)} to ${shown(one, one.limit_high)}`;
  return one.limit_low !== null ? `wanted at least ${shown(one, one.limit_low)}` : `wanted at most ${shown(one, one.limit_high)}`;
}

function next(planned: Planned, { passed }: Found): string {
  const on = day(planned.due_on);
  return passed ? `Again ${on}, to see whether it lasts.` : `Again ${on}.`;
}

const long = new Intl.DateTimeFormat("en", { weekday: "long", day: "numeric", month: "long" });

/** "on Tuesday, 24 November" */
export function day(date: string): string {
  return `on ${long.format(new Date(`${date}T12:00`))}`;
}
