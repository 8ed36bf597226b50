/** The work on a session, step by step, in the words of someone who waits for it. */

import type { Session, Step } from "./api";
import { lasted } from "./format";

/** A step's name, and what it is called; config/graph.py has them, and the page brings them. */
export type Titles = readonly (readonly [string, string])[];

interface Props {
  titles: Titles;
  session: Session;
  stages: ReadonlyMap<string, { stage: string; fraction: number | null }>; // of running steps, from the live events
  onRetry: () => void;
  busy: boolean;
}

export function Steps({ titles, session, stages, onRetry, busy }: Props) {
  return (
    <ol class="steps">
      {titles.map(([name, words]) => {
        const step = session.steps?.find((step) => step.step === name);
        const live = stages.get(name);
        const state = step?.state ?? "waiting";
        return (
          <li key={name} class={state}>
            <Mark state={state} />
            <div>
              <span class="what">{words}</span>
              {state === "running" && <progress max={1} {...(live?.fraction != null && { value: live.fraction })} aria-label={words} />}
              {state === "parked" && (
                <p class="trouble">
                  {step?.error?.sentence ?? "This step failed."}{" "}
                  <button type="button" class="link" disabled={busy} onClick={onRetry}>
                    Try again
                  </button>
                </p>
              )}
            </div>
            <span class="told">{told(step, live)}</span>
          </li>
        );
      })}
    </ol>
  );
}

function told(step: Step | undefined, live: { stage: string; fraction: number | null } | undefined): string {
  if (!step) return "";
  if (step.state === "done" && step.started_at && step.finished_at) return lasted((Date.parse(step.finished_at) - Date.parse(step.started_at)) / 1000);
  if (step.state === "running") return live?.fraction != null ? `${Math.floor(100 * live.fraction)} %` : live?.stage ? live.stage : "…";
  return { queued: "Next", done: "Done", parked: "Failed", cancelled: "Cancelled" }[step.state];
}

function Mark({ state }: { state: string }) {
  const word = { done: "Done", running: "In progress", parked: "Failed", cancelled: "Cancelled", queued: "Next" }[state] ?? "Later";
  const drawing = { done: "M3.5 8.5l3 3 6-7", parked: "M4.5 4.5l7 7M11.5 4.5l-7 7", cancelled: "M4 8h8" }[state];
  return (
    <svg class="mark" viewBox="0 0 16 16" role="img" aria-label={word}>
      {drawing ? <path d={drawing} /> : <circle cx="8" cy="8" r="4.5" />}
    </svg>
  );
}
