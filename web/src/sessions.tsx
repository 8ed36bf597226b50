/** The list of sessions, newest first; it follows those that are being worked on. */

import { useEffect, useRef, useState } from "preact/hooks";
import { call, nameOf, Problem, type Session } from "./api";
import { clock, when } from "./format";

const FIRST = "/v1/sessions?limit=20";
const LOOK_AGAIN_MS = 3000;

interface Page {
  sessions: Session[];
  next: string | null;
}

export function Sessions() {
  const [sessions, setSessions] = useState<Session[] | null>(null);
  const [next, setNext] = useState<string | null>(null);
  const [problem, setProblem] = useState("");
  const asked = useRef<HTMLInputElement>(null);
  const working = sessions?.some((session) => ["live", "processing", "deleting"].includes(session.state)) ?? false;

  async function load(address: string, more: boolean) {
    try {
      const page = await call<Page>("GET", address);
      setProblem("");
      if (more || sessions === null) setNext(page.next);
      setSessions((before) => (more ? [...(before ?? []), ...page.sessions] : [...page.sessions, ...olderThan(page, before ?? [])]));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setProblem(error.message);
    }
  }

  useEffect(() => void load(FIRST, false), []);
  useEffect(() => {
    if (!working && !problem) return undefined;
    const timer = setInterval(() => document.visibilityState === "visible" && void load(FIRST, false), LOOK_AGAIN_MS);
    return () => clearInterval(timer);
  }, [working, problem]);

  return (
    <section aria-labelledby="sessions-title">
      <div class="bar">
        <h2 id="sessions-title">Sessions</h2>
        <form
          class="looking"
          role="search"
          onSubmit={(event) => {
            event.preventDefault();
            location.assign(`/search?q=${encodeURIComponent(asked.current?.value.trim() ?? "")}`);
          }}
        >
          <input ref={asked} aria-label="Search what was said" maxLength={300} autocomplete="off" placeholder="Search what was said" />
          <button type="submit" class="plain">
            Search
          </button>
        </form>
      </div>
      {problem && (
        <p class="trouble" role="alert">
          {problem}
        </p>
      )}
      {sessions?.length === 0 && <p class="empty">None yet. What you practise, drop or record is listed here, with its report.</p>}
      {sessions && sessions.length > 0 && (
        <ul class="sessions">
          {sessions.map((session) => (
            <li key={session.id}>
              <a href={`/sessions/${session.id}`}>{nameOf(session)}</a>
              <State session={session} />
              <span class="length">{session.duration_s === undefined ? "" : clock(session.duration_s)}</span>
              <time dateTime={session.created_at}>{when(session.created_at)}</time>
            </li>
          ))}
        </ul>
      )}
      {next && (
        <p class="actions">
          <button type="button" class="plain" onClick={() => void load(next, true)}>
            Show older ones
          </button>
        </p>
      )}
    </section>
  );
}

const STATES = {
  created: "Not begun",
  live: "Live now",
  processing: "In progress",
  complete: "Ready",
  failed: "Failed",
  cancelled: "Cancelled",
  deleting: "Being deleted",
} as const;

export function State({ session }: { session: Session }) {
  const { progress } = session;
  const share = session.state === "processing" && progress ? `, ${progress.done} of ${progress.total}` : "";
  return (
    <span class={`state ${session.state}`}>
      {STATES[session.state]}
      {share}
    </span>
  );
}

/** What was shown and lies behind a fresh first page. */
function olderThan(page: Page, shown: Session[]): Session[] {
  const last = page.sessions.at(-1);
  return page.next && last ? shown.filter((session) => session.created_at < last.created_at) : [];
}
