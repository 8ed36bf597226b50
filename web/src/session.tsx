/** One session: how its analysis goes, what is known already, and in the end its numbers and files. */

import { render } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { at, call, nameOf, Problem, type Coaching, type Live, type Measure, type ReportFile, type Scores as ScoresFound, type Session, type Speaker, type Style, type Word } from "./api";
import { Changes, Highlights } from "./coached";
import { Proposed } from "./drills/proposed";
import { Courses, type Second, type Sums } from "./courses";
import { clock, size, SPACELESS, when } from "./format";
import { Comments } from "./comments";
import { Named } from "./named";
import { Reading } from "./reading";
import { State } from "./sessions";
import { Moments } from "./moments";
import { Steps, type Titles } from "./steps";
import { Ratings, Scores } from "./scores";
import { Summary } from "./summary";

const FIRST_S = 600; // of the recording in the first charts
const SETTLE_MS = 120; // events come in bursts; the session is read once for each
const LOOK_AGAIN_MS = 5000; // when events are cut off, or the server is away

const FILES: Record<string, string> = {
  "index.html": "Report as one page, with the sound inside",
  "report.pdf": "Report to print, on A4",
  "report-letter.pdf": "Report to print, on US Letter",
  "analysis.json": "Every number, as JSON",
  "words.csv": "Words with their times",
  "frames.parquet": "Pitch and level every 10 ms",
  "transcript.txt": "Transcript as plain text",
  "transcript.vtt": "Captions (WebVTT)",
  "transcript.srt": "Captions (SubRip)",
  "analysis.TextGrid": "For Praat",
};

function Page({ id, title, titles }: { id: string; title: string; titles: Titles }) {
  const [session, setSession] = useState<Session | null>(null);
  const [problem, setProblem] = useState("");
  const [acting, setActing] = useState(false);
  const [stages, setStages] = useState<ReadonlyMap<string, { stage: string; fraction: number | null }>>(new Map());
  const [sums, setSums] = useState<Sums | null>(null);
  const [seconds, setSeconds] = useState<readonly Second[]>([]);

  async function load() {
    try {
      setSession(await call<Session>("GET", at(id)));
      setProblem("");
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.code === "no-session") location.assign("/"); // deleted, here or elsewhere
      setProblem(error.message);
    }
  }

  async function measure() {
    try {
      const found = await call<{ rows: Second[] }>("GET", at(id, `/metrics?resolution=second&to_s=${FIRST_S}`));
      setSeconds(found.rows);
    } catch (error) {
      if (!(error instanceof Problem)) throw error; // the report will hold them
    }
  }

  async function act(method: string, path: string, body?: unknown) {
    setActing(true);
    try {
      await call(method, at(id, path), body);
      if (method === "DELETE") location.assign("/");
      else await load();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setProblem(error.message);
    } finally {
      setActing(false);
    }
  }

  useEffect(() => void load(), []);
  useEffect(() => {
    document.title = `${session ? nameOf(session) : "Session"} · Elocute`;
  }, [session]);

  const working = session?.state === "processing" || session?.state === "live";
  useEffect(() => {
    if (!working) return undefined;
    let settle: ReturnType<typeof setTimeout> | undefined;
    let measuring: ReturnType<typeof setTimeout> | undefined;
    const soon = () => {
      clearTimeout(settle);
      settle = setTimeout(() => void load(), SETTLE_MS);
    };
    const heard = (event: MessageEvent<string>) => {
      const live = JSON.parse(event.data) as Live;
      if (live.stream === "metrics") {
        setSums(live.data as unknown as Sums);
        clearTimeout(measuring);
        measuring = setTimeout(() => void measure(), SETTLE_MS);
      } else if (live.stream === "state") {
        const { step, stage, fraction } = live.data;
        if (typeof step === "string") {
          const told = { stage: typeof stage === "string" ? stage : "", fraction: typeof fraction === "number" ? fraction : null };
          setStages((before) => new Map(before).set(step, told));
        }
        if (!(typeof fraction === "number" && fraction > 0 && fraction < 1)) soon(); // a mere fraction changes nothing else
      }
    };
    const events = new EventSource(at(id, "/events?streams=state,metrics"));
    events.addEventListener("message", heard);
    // What is shown must not depend on a line that a proxy may cut without a word.
    const timer = setInterval(soon, LOOK_AGAIN_MS);
    return () => {
      events.close();
      clearInterval(timer);
      clearTimeout(settle);
      clearTimeout(measuring);
    };
  }, [working]);

  if (!session) {
    return (
      <>
        <h1>{title}</h1>
        {problem && (
          <p class="trouble" role="alert">
            {problem}
          </p>
        )}
      </>
    );
  }
  const done = (step: string) => session.steps?.some((found) => found.step === step && found.state === "done") ?? false;
  return (
    <>
      <Head session={session} onRename={(title) => act("PATCH", "", { title })} />
      <Said session={session} />
      {session.interrupted && <p class="note">The connection was lost and did not come back in time. The report is made of what was heard until then.</p>}
      {problem && (
        <p class="trouble" role="alert">
          {problem}
        </p>
      )}
      {session.state === "complete" ? (
        <Finished session={session} acting={acting} onStyle={(style) => void act("PATCH", "", { style })} onSpeaker={(speaker) => void act("PATCH", "", { speaker })} onMask={(masked) => void act("PATCH", "", { masked })} onCut={(wanted) => void act("POST", "/clips", wanted)} />
      ) : (
        <Progress titles={titles} session={session} stages={stages} acting={acting} onAct={(path) => void act("POST", path)} />
      )}
      {session.state !== "complete" && seconds.length > 0 && <First seconds={seconds} sums={sums} />}
      {session.state !== "complete" && done("asr") && <Words id={id} />}
      <Delete name={nameOf(session)} acting={acting} onDelete={() => void act("DELETE", "")} />
    </>
  );
}

/** What changed, for those who hear the page. */
function Said({ session }: { session: Session }) {
  const { progress, state } = session;
  const words = {
    created: "There is no recording yet",
    live: "Live now",
    processing: progress ? `${progress.done} of ${progress.total} steps done` : "In progress",
    complete: "The report is ready",
    failed: "A step failed",
    cancelled: "Cancelled",
    deleting: "Being deleted",
  }[state];
  return (
    <p class="quiet" role="status">
      {words}
    </p>
  );
}

function Head({ session, onRename }: { session: Session; onRename: (title: string) => Promise<void> }) {
  const [editing, setEditing] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const name = nameOf(session);
  // Before the browser paints: what is typed at once belongs into the field.
  useLayoutEffect(() => {
    if (editing) field.current?.select();
  }, [editing]);
  function close() {
    setEditing(false);
    requestAnimationFrame(() => button.current?.focus());
  }
  return (
    <>
      {editing ? (
        <form
          class="rename"
          onSubmit={(event) => {
            event.preventDefault();
            void onRename(field.current?.value.trim() ?? "").then(close);
          }}
          onKeyDown={(event) => event.key === "Escape" && close()}
        >
          <label class="quiet" for="name">
            Title
          </label>
          <input ref={field} id="name" maxLength={200} defaultValue={name} autocomplete="off" />
          <button type="submit" class="main">
            Save
          </button>
          <button type="button" class="plain" onClick={close}>
            Cancel
          </button>
        </form>
      ) : (
        <h1>
          {name}{" "}
          <button ref={button} type="button" class="link small" onClick={() => setEditing(true)}>
            Rename
          </button>
        </h1>
      )}
      <p class="facts">
        <State session={session} />
        {session.duration_s !== undefined && <span>{clock(session.duration_s)}</span>}
        <time dateTime={session.created_at}>{when(session.created_at)}</time>
        {session.title && session.media?.filename && session.title !== session.media.filename.replace(/\.\w{1,5}$/, "") && <span>{session.media.filename}</span>}
      </p>
    </>
  );
}

const TITLES = {
  created: "Not begun",
  live: "Live now",
  processing: "In progress",
  complete: "Ready",
  failed: "What went wrong",
  cancelled: "Cancelled",
  deleting: "Being deleted",
} as const;

interface ProgressProps {
  titles: Titles;
  session: Session;
  stages: ReadonlyMap<string, { stage: string; fraction: number | null }>;
  acting: boolean;
  onAct: (path: string) => void;
}

function Progress({ titles, session, stages, acting, onAct }: ProgressProps) {
  const { state } = session;
  const parked = session.steps?.some((step) => step.state === "parked") ?? false;
  if (state === "live" || (state === "created" && !session.media)) {
    return (
      <section aria-label="Progress">
        <p>{state === "live" ? "This session is being spoken right now, or waits for its speaker to come back." : "Nothing was said in this session yet."}</p>
        <p class="actions left">
          <a class="main" href={`/practice/${session.id}`}>
            {state === "live" ? "Go on with it here" : "Begin"}
          </a>
        </p>
      </section>
    );
  }
  if (state === "created") {
    return (
      <section aria-label="Progress">
        <p>
          The recording is not here yet. Go to the <a href="/">first page</a> and drop the same file again to go on with its upload.
        </p>
      </section>
    );
  }
  return (
    <section aria-labelledby="progress-title">
      <h2 id="progress-title">{TITLES[state]}</h2>
      {session.problem && !parked && <p class="trouble">{session.problem}</p>}
      <Steps titles={titles} session={session} stages={stages} busy={acting} onRetry={() => onAct("/retry")} />
      <p class="actions left">
        {state === "processing" && (
          <button type="button" class="plain" disabled={acting} onClick={() => onAct("/cancel")}>
            Cancel
          </button>
        )}
        {state === "cancelled" && (
          <button type="button" class="main" disabled={acting} onClick={() => onAct("/retry")}>
            Start again
          </button>
        )}
      </p>
    </section>
  );
}

function First({ seconds, sums }: { seconds: readonly Second[]; sums: Sums | null }) {
  return (
    <section aria-labelledby="first-title">
      <div class="bar">
        <h2 id="first-title">First numbers</h2>
        <p class="hint">From the beginning of the recording, while the rest is still being analysed.</p>
      </div>
      <Courses seconds={seconds} sums={sums} toS={(seconds.at(-1)?.t_s ?? 0) + 1} />
    </section>
  );
}

function Words({ id }: { id: string }) {
  const [transcript, setTranscript] = useState<{ words: Word[]; language: string } | null>(null);
  useEffect(() => {
    call<{ words: Word[]; language: string }>("GET", at(id, "/transcript")).then(setTranscript, (error: unknown) => {
      if (!(error instanceof Problem)) throw error; // the report will hold them
    });
  }, []);
  if (!transcript) return null;
  const { words, language } = transcript;
  const gap = SPACELESS.has(language) ? "" : " ";
  return (
    <section aria-labelledby="words-title">
      <h2 id="words-title">Words</h2>
      {words.length === 0 ? (
        <p class="empty">No words were recognised in this recording.</p>
      ) : (
        <p class="words" tabIndex={0} role="group" aria-labelledby="words-title" lang={language} dir="auto">
          {words.flatMap((word, index) => [word.kind === "word" ? word.text : <span key={index} class={`w ${word.kind}`}>{word.text}</span>, gap])}
        </p>
      )}
    </section>
  );
}

interface FinishedProps {
  session: Session;
  acting: boolean;
  onStyle: (style: string) => void;
  onSpeaker: (speaker: Speaker) => void;
  onMask: (masked: boolean) => void;
  onCut: (wanted: { start_s: number; end_s: number; label: string }) => void;
}

function Finished({ session, acting, onStyle, onSpeaker, onMask, onCut }: FinishedProps) {
  const [styles, setStyles] = useState<Style[]>([]);
  const [measures, setMeasures] = useState<Record<string, Measure> | null>(null);
  const [scores, setScores] = useState<ScoresFound | null>(null);
  const [coaching, setCoaching] = useState<Coaching | null>(null);
  const [files, setFiles] = useState<ReportFile[]>([]);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    const refused = (error: unknown) => {
      if (!(error instanceof Problem)) throw error;
      setProblem(error.message);
    };
    call<{ measures: Record<string, Measure> }>("GET", at(session.id, "/fluency")).then((found) => setMeasures(found.measures), refused);
    call<ScoresFound>("GET", at(session.id, "/scores")).then(setScores, refused);
    call<Coaching>("GET", at(session.id, "/coaching")).then(setCoaching, (error: unknown) => {
      if (!(error instanceof Problem) || error.code !== "not-yet") refused(error); // an older version made none
    });
    call<{ rubrics: Style[] }>("GET", "/v1/rubrics").then((found) => setStyles(found.rubrics), refused);
    call<{ files: ReportFile[] }>("GET", at(session.id, "/report")).then((found) => setFiles(found.files.filter((file) => file.name in FILES)), refused);
  }, []);
  return (
    <>
      <p class="actions left open">
        <a class="main" href={`/sessions/${session.id}/report`}>
          Open the report
        </a>
      </p>
      {problem && (
        <p class="trouble" role="alert">
          {problem}
        </p>
      )}
      {coaching && <Highlights found={coaching.highlights} />}
      {measures && (
        <section aria-labelledby="glance-title">
          <h2 id="glance-title" class="quiet">
            At a glance
          </h2>
          <Summary measures={measures} />
        </section>
      )}
      {scores && (
        <section aria-labelledby="scores-title">
          <h2 id="scores-title">Scores</h2>
          <p class="field">
            <label for="style">Scored as</label>
            <select id="style" value={scores.rubric.name} disabled={acting} onChange={(event) => onStyle(event.currentTarget.value)}>
              {styles.map(({ name, title, about }) => (
                <option key={name} value={name} title={about}>
                  {title}
                </option>
              ))}
            </select>
          </p>
          <p class="hint">From 0 to 100, with the 95 % interval. For practice, not for hiring or grading.</p>
          <Scores session={session.id} found={scores} />
          {scores.ratings && scores.ratings.length > 0 && (
            <Ratings ratings={scores.ratings} speaker={session.speaker ?? "adult"} acting={acting} onSpeaker={onSpeaker} />
          )}
        </section>
      )}
      {coaching && <Moments session={session.id} language={session.language ?? "en"} moments={coaching.moments} acting={acting} onCut={onCut} />}
      {coaching && <Proposed session={session.id} drills={coaching.drills} />}
      {coaching && <Changes found={coaching.change} />}
      {session.script && <Reading session={session.id} />}
      <Comments session={session} />
      <Named session={session} acting={acting} onMask={onMask} />
      {files.length > 0 && (
        <section aria-labelledby="files-title">
          <h2 id="files-title">Files</h2>
          <ul class="files">
            {files.map((file) => (
              <li key={file.name}>
                <a href={file.url} download={file.name}>
                  {file.name}
                </a>
                <span>{FILES[file.name]}</span>
                <span class="size">{size(file.size)}</span>
              </li>
            ))}
          </ul>
          <p>
            <a href={`/v1/sessions/${session.id}/report/files/elocute-report.zip`} download="elocute-report.zip">
              All of them as a ZIP
            </a>
          </p>
        </section>
      )}
    </>
  );
}

function Delete({ name, acting, onDelete }: { name: string; acting: boolean; onDelete: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  return (
    <section class="end" aria-label="Delete">
      <button type="button" class="link danger" onClick={() => dialog.current?.showModal()}>
        Delete this session
      </button>
      <dialog ref={dialog} aria-labelledby="delete-title">
        <h2 id="delete-title">Delete “{name}”?</h2>
        <p>The recording, its words, numbers and files are removed for good.</p>
        <form method="dialog" class="actions">
          <button type="button" class="main danger" disabled={acting} onClick={onDelete}>
            Delete
          </button>
          <button type="submit" class="plain" autofocus>
            Keep it
          </button>
        </form>
      </dialog>
    </section>
  );
}

const root = document.getElementById("app");
const { session: id, title = "", steps = "[]" } = root?.dataset ?? {};
if (root && id) {
  root.replaceChildren(); // what the server wrote, for those without scripts
  render(<Page id={id} title={title} titles={JSON.parse(steps) as Titles} />, root);
}
