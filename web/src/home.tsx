/** The first page: practise, drop or record, and what was said before. */

import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { at, call, Problem } from "./api";
import { clock, size } from "./format";
import { Level } from "./level";
import { Insecure, microphoneProblem } from "./mic";
import { Plan } from "./drills/plan";
import { Recorder } from "./recorder";
import { Sessions } from "./sessions";
import { PLAIN, StyleFields } from "./style";
import { Trends } from "./trend";
import { bring, forget, isFileOf, unfinished, type Progress, type Unfinished } from "./upload";

type Stage =
  | { at: "waiting" }
  | { at: "recording"; recorder: Recorder; since: number }
  | { at: "recorded"; file: File; url: string }
  | { at: "uploading"; file: File; progress: Progress; since: number }
  | { at: "stopped"; file: File; problem: Problem };

function Intake() {
  const [stage, setStage] = useState<Stage>({ at: "waiting" });
  const [problem, setProblem] = useState("");
  const [title, setTitle] = useState("");
  const [manner, setManner] = useState(PLAIN);
  const [kept, setKept] = useState<Unfinished | null>(unfinished);
  const [over, setOver] = useState(false);
  const chooser = useRef<HTMLInputElement>(null);
  const stop = useRef<AbortController>(new AbortController());
  const own = useRef<File | null>(null); // a recording that is nowhere else
  const busy = stage.at === "uploading" || stage.at === "recording";

  async function start(file: File) {
    setProblem("");
    if (file.size === 0) {
      setProblem(`${file.name} is empty (0 bytes). Record or copy it again.`);
      setStage({ at: "waiting" });
      return;
    }
    stop.current = new AbortController();
    const since = performance.now();
    const tell = (progress: Progress) => setStage({ at: "uploading", file, progress, since });
    tell({ sent: 0, total: file.size, waiting: false });
    try {
      const id = await bring(file, title.trim(), manner, stop.current.signal, tell);
      location.assign(`/sessions/${id}`);
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") back();
      else if (error instanceof Problem) setStage({ at: "stopped", file, problem: error });
      else throw error;
      setKept(unfinished());
    }
  }

  async function record() {
    setProblem("");
    try {
      setStage({ at: "recording", recorder: await Recorder.start(), since: performance.now() });
    } catch (error) {
      if (!(error instanceof DOMException || error instanceof Insecure)) throw error;
      setProblem(microphoneProblem(error.name));
    }
  }

  async function finish(recorder: Recorder) {
    own.current = await recorder.stop();
    back();
  }

  /** To the beginning, or to the recording that was made here. */
  function back() {
    const file = own.current;
    setStage(file ? { at: "recorded", file, url: URL.createObjectURL(file) } : { at: "waiting" });
  }

  function discard() {
    if (stage.at === "recorded") URL.revokeObjectURL(stage.url);
    if (stage.at === "recording") stage.recorder.release();
    own.current = null;
    back();
  }

  async function startOver(unfinished: Unfinished) {
    forget();
    setKept(null);
    try {
      await call("DELETE", at(unfinished.session));
    } catch (error) {
      if (!(error instanceof Problem)) throw error; // it stays in the list, where it can be deleted
    }
  }

  // A file dropped beside the zone would replace the page.
  useEffect(() => {
    const drag = (event: DragEvent) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = busy ? "none" : "copy";
      setOver(!busy && event.type === "dragover");
    };
    const leaveWindow = (event: DragEvent) => event.relatedTarget === null && setOver(false);
    const drop = (event: DragEvent) => {
      drag(event);
      const file = event.dataTransfer?.files[0];
      if (file && !busy) void start(file);
    };
    document.addEventListener("dragover", drag);
    document.addEventListener("dragleave", leaveWindow);
    document.addEventListener("drop", drop);
    return () => {
      document.removeEventListener("dragover", drag);
      document.removeEventListener("dragleave", leaveWindow);
      document.removeEventListener("drop", drop);
    };
  });

  // What is being recorded or sent would be gone.
  useEffect(() => {
    if (!busy && !own.current) return undefined;
    const warn = (event: BeforeUnloadEvent) => {
      const done = stage.at === "uploading" && unfinished() === null;
      if (!done) event.preventDefault();
    };
    window.addEventListener("beforeunload", warn);
    return () => window.removeEventListener("beforeunload", warn);
  });

  return (
    <section class={`intake${over ? " over" : ""}`} aria-label="New session">
      {stage.at === "waiting" && (
        <>
          <svg class="drawing" viewBox="0 0 96 40" aria-hidden="true">
            <path d="M4 18v4M12 13v14M20 17v6M28 9v22M36 3v34M44 12v16M52 16v8M60 6v28M68 13v14M76 10v20M84 16v8M92 18v4" />
          </svg>
          <p class="call">{over ? "Let go to upload it" : "Or drop a recording here"}</p>
          <p class="hint">Audio or video, of a talk, a pitch or a practice run.</p>
          <p class="actions">
            <button type="button" class="plain" onClick={() => chooser.current?.click()}>
              Choose a file
            </button>
            <button type="button" class="plain" onClick={() => void record()}>
              <i class="dot" aria-hidden="true" /> Just record
            </button>
          </p>
          <input
            ref={chooser}
            type="file"
            hidden
            accept="audio/*,video/*"
            onChange={(event) => {
              const file = event.currentTarget.files?.[0];
              event.currentTarget.value = "";
              if (file) void start(file);
            }}
          />
          <p class="field">
            <label for="title">
              Title <span>(optional)</span>
            </label>
            <input id="title" maxLength={200} autocomplete="off" value={title} onInput={(event) => setTitle(event.currentTarget.value)} />
          </p>
          <StyleFields manner={manner} onChange={setManner} />
          {kept && (
            <p class="note">
              The upload of <b>{kept.name}</b> is not finished. Drop or choose the same file to go on, or{" "}
              <button type="button" class="link" onClick={() => void startOver(kept)}>
                discard it
              </button>
              .
            </p>
          )}
        </>
      )}
      {stage.at === "recording" && <Recording recorder={stage.recorder} since={stage.since} onStop={() => void finish(stage.recorder)} onDrop={discard} />}
      {stage.at === "recorded" && (
        <>
          <p class="call">Your recording</p>
          <audio controls src={stage.url} />
          <p class="actions">
            <button type="button" class="main" onClick={() => void start(stage.file)}>
              Analyse it
            </button>
            <button type="button" class="plain" onClick={discard}>
              Discard
            </button>
          </p>
          <p class="hint">{size(stage.file.size)}. It leaves this browser only when you choose to have it analysed.</p>
        </>
      )}
      {stage.at === "uploading" && <Uploading {...stage} onStop={() => stop.current.abort()} />}
      {stage.at === "stopped" && (
        <>
          <p class="call">The upload stopped</p>
          <p class="trouble" role="alert">
            {stage.problem.message}
          </p>
          <p class="actions">
            {(stage.problem.passing || own.current) && (
              <button type="button" class="main" onClick={() => void start(stage.file)}>
                {isFileOf(stage.file, kept) ? "Go on" : "Try again"}
              </button>
            )}
            <button type="button" class="plain" onClick={back}>
              {own.current ? "Back to the recording" : "Choose another file"}
            </button>
          </p>
        </>
      )}
      {problem && (
        <p class="trouble" role="alert">
          {problem}
        </p>
      )}
    </section>
  );
}

function Recording({ recorder, since, onStop, onDrop }: { recorder: Recorder; since: number; onStop: () => void; onDrop: () => void }) {
  const [s, setS] = useState(0);
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    button.current?.focus();
    const timer = setInterval(() => setS((performance.now() - since) / 1000), 250);
    return () => clearInterval(timer);
  }, [since]);
  return (
    <>
      <p class="call">
        <i class="dot" aria-hidden="true" /> Recording <span class="clock">{clock(s)}</span>
      </p>
      <p class="quiet" role="status">
        Recording
      </p>
      <Level recorder={recorder} />
      <p class="actions">
        <button ref={button} type="button" class="main" onClick={onStop}>
          Stop
        </button>
        <button type="button" class="plain" onClick={onDrop}>
          Discard
        </button>
      </p>
    </>
  );
}

function Uploading({ file, progress, since, onStop }: { file: File; progress: Progress; since: number; onStop: () => void }) {
  const share = progress.sent / Math.max(progress.total, 1);
  const percent = Math.floor(100 * share);
  const passedS = (performance.now() - since) / 1000;
  const leftS = share > 0.02 && passedS > 3 ? (passedS * (1 - share)) / share : null;
  const left = leftS === null || leftS < 2 ? "" : leftS < 90 ? `, about ${Math.ceil(leftS)} s left` : `, about ${Math.ceil(leftS / 60)} min left`;
  return (
    <>
      <p class="call name">{file.name}</p>
      <progress max={1} value={share} aria-label={`Upload of ${file.name}`} />
      <p class="hint">
        {progress.waiting
          ? "No answer right now. Trying again by itself…"
          : progress.sent >= progress.total
            ? "Uploaded. Starting the analysis…"
            : `${size(progress.sent)} of ${size(progress.total)}${left}`}
      </p>
      <p class="quiet" role="status">
        {progress.waiting ? "No answer right now, trying again" : `${percent - (percent % 25)} % uploaded`}
      </p>
      <p class="actions">
        <button type="button" class="plain" onClick={onStop}>
          Stop
        </button>
      </p>
    </>
  );
}

function Begin() {
  return (
    <section class="begin" aria-label="Live practice">
      <svg class="drawing" viewBox="0 0 48 48" aria-hidden="true">
        <path d="M24 6a6 6 0 0 1 6 6v12a6 6 0 0 1-12 0V12a6 6 0 0 1 6-6zM11 23v1a13 13 0 0 0 26 0v-1M24 37v6M17 43h14" />
      </svg>
      <p class="call">Speak, and see how it sounds while you speak.</p>
      <p class="hint">Your words, pace, pauses, pitch and loudness as they happen; the full report when you stop.</p>
      <p class="actions">
        <a class="main large" href="/practice">
          Practise now
        </a>
      </p>
    </section>
  );
}

function Home() {
  return (
    <>
      <div class="ways">
        <Begin />
        <Intake />
      </div>
      <p class="hint practise">
        <a href="/drills">Drills</a> practise one thing at a time: fillers, pauses, pace, pitch, sounds.
      </p>
      <Plan />
      <Trends />
      <Sessions />
    </>
  );
}

const root = document.getElementById("app");
if (root) {
  root.replaceChildren(); // what the server wrote, for those without scripts
  render(<Home />, root);
}
