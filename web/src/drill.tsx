/** Drills: which there are, and one of them from its goal to its result. */

import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { at, call, Problem } from "./api";
import { attemptAt, drillsAt, type Attempt, type Drill, type Notes } from "./drills/api";
import { Beginning } from "./drills/material";
import { Plan } from "./drills/plan";
import { day, Result } from "./drills/result";
import { Watched } from "./drills/watch";
import { captured, exchanged, type Capture } from "./mic-capture";
import { Check } from "./practice-check";
import { Live } from "./practice-live";

const LEVELS = ["A2", "B1", "B2", "C1"] as const;
const LEVEL = "elocute.level"; // of what is read, as chosen last

function All() {
  const [drills, setDrills] = useState<Drill[] | null>(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    call<{ drills: Drill[] }>("GET", drillsAt).then(
      (found) => setDrills(found.drills),
      (error: unknown) => {
        if (!(error instanceof Problem)) throw error;
        setProblem(error.message);
      },
    );
  }, []);
  const proposed = (drills ?? []).filter(({ why }) => why !== null);
  return (
    <>
      <h1>Drills</h1>
      <p class="lead">One thing at a time, measured on something you have not practised. What you pass comes back after 1, 3, 7 and 16 days.</p>
      <Plan />
      {problem && <p class="trouble">{problem}</p>}
      {proposed.length > 0 && <Cards title="For your last talk" drills={proposed} />}
      {drills && <Cards title={proposed.length > 0 ? "All others" : "All drills"} drills={drills.filter(({ why }) => why === null)} />}
    </>
  );
}

function Cards({ title, drills }: { title: string; drills: Drill[] }) {
  return (
    <section>
      <h2>{title}</h2>
      <ul class="drills">
        {drills.map((drill) => (
          <li key={drill.id}>
            <a href={`/drills/${drill.id}`}>{drill.title}</a>
            <p>{drill.goal}</p>
            {drill.why && <p class="hint">{drill.why}</p>}
            <p class="hint">
              Evidence: {drill.evidence.grade}.{drill.planned && ` ${drill.planned.state === "later" ? "Again" : "Due"} ${day(drill.planned.due_on)}.`}
            </p>
          </li>
        ))}
      </ul>
    </section>
  );
}

type Stage =
  | { at: "before" }
  | { at: "asking" }
  | { at: "checking"; capture: Capture }
  | { at: "starting"; capture: Capture }
  | { at: "live"; capture: Capture; attempt: Attempt }
  | { at: "over"; attempt: Attempt };

function One({ id, servers }: { id: string; servers: RTCIceServer[] }) {
  const wanted = new URLSearchParams(location.search);
  const [drill, setDrill] = useState<Drill | null>(null);
  const [stage, setStage] = useState<Stage>({ at: "before" });
  const [level, setLevel] = useState(() => localStorage.getItem(LEVEL) ?? "B1");
  const [problem, setProblem] = useState("");
  const [said, setSaid] = useState("");
  const notes = useRef<Notes>({ plays_s: [], identified: 0, heard: 0 });
  const source = wanted.get("session");

  useEffect(() => {
    call<Drill>("GET", `${drillsAt}/${id}${source ? `?session=${source}` : ""}`).then(setDrill, (error: unknown) => {
      if (!(error instanceof Problem)) throw error;
      setProblem(error.message);
    });
  }, []);

  async function open(device?: string) {
    setProblem("");
    setStage({ at: "asking" });
    const capture = await captured(device);
    if (typeof capture === "string") {
      setProblem(capture);
      setStage({ at: "before" });
    } else setStage({ at: "checking", capture });
  }

  async function choose(capture: Capture, device: string) {
    setProblem("");
    setProblem(await exchanged(capture, device));
  }

  async function start(capture: Capture) {
    setProblem("");
    setStage({ at: "starting", capture });
    notes.current = { ...notes.current, plays_s: [] };
    const seconds = Number(wanted.get("seconds"));
    try {
      const body = { level, ...(source ? { source } : {}), ...(seconds > 0 ? { seconds } : {}) };
      setStage({ at: "live", capture, attempt: await call<Attempt>("POST", `${drillsAt}/${id}/attempts`, body) });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setProblem(error.message);
      setStage({ at: "checking", capture });
    }
  }

  /** Nothing was said in it: what was made for it is taken back. */
  async function refused(refusal: Problem, capture: Capture, attempt: Attempt) {
    setProblem(refusal.message);
    setStage({ at: "checking", capture });
    try {
      await call("DELETE", at(attempt.session));
    } catch (error) {
      if (!(error instanceof Problem)) throw error; // it stays in the list, where it can be deleted
    }
  }

  async function over(attempt: Attempt) {
    try {
      if (notes.current.plays_s.length + notes.current.heard > 0) await call("POST", attemptAt(attempt.session), notes.current);
    } catch (error) {
      if (!(error instanceof Problem)) throw error; // the result does without
    }
    setStage({ at: "over", attempt });
  }

  if (!drill) return problem ? <p class="trouble">{problem}</p> : <h1>Drill</h1>;
  if (stage.at === "over") return <Result session={stage.attempt.session} onAgain={() => setStage({ at: "before" })} />;
  return (
    <>
      {stage.at === "live" ? (
        <Live
          capture={stage.capture}
          session={stage.attempt.session}
          servers={servers}
          onSaid={setSaid}
          onRefused={(refusal) => void refused(refusal, stage.capture, stage.attempt)}
          drill={{
            title: drill.title,
            limitS: stage.attempt.seconds,
            view: (store) => <Watched store={store} attempt={stage.attempt} onPlay={(atS) => notes.current.plays_s.push(atS)} />,
            onOver: () => void over(stage.attempt),
          }}
        />
      ) : (
        <h1>{drill.title}</h1>
      )}
      {(stage.at === "before" || stage.at === "asking") && (
        <>
          <p class="lead">{drill.goal}</p>
          {drill.why && <p class="note">{drill.why}</p>}
          <ol class="drill-steps">
            {drill.steps.map((step) => (
              <li key={step}>{step}</li>
            ))}
          </ol>
          <Beginning drill={drill} onHeard={(identified, heard) => (notes.current = { ...notes.current, identified, heard })} />
          <p class="field level-choice">
            <label for="level">Level of the text</label>
            <select
              id="level"
              value={level}
              onChange={({ currentTarget }) => {
                setLevel(currentTarget.value);
                localStorage.setItem(LEVEL, currentTarget.value);
              }}
            >
              {LEVELS.map((name) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          </p>
          <p class="actions left">
            <button type="button" class="main large" disabled={stage.at === "asking"} onClick={() => void open()}>
              {stage.at === "asking" ? "Waiting for the browser…" : "Begin"}
            </button>
          </p>
          {problem && <p class="trouble">{problem}</p>}
          <About drill={drill} />
        </>
      )}
      {(stage.at === "checking" || stage.at === "starting") && (
        <Check
          capture={stage.capture}
          starting={stage.at === "starting"}
          again={false}
          onChoose={(device) => choose(stage.capture, device)}
          onStart={() => void start(stage.capture)}
          problem={problem}
          onSaid={setSaid}
        />
      )}
      <p class="quiet" role="status">
        {problem || said}
      </p>
    </>
  );
}

function About({ drill }: { drill: Drill }) {
  return (
    <details class="more">
      <summary>How it is measured, and what is known of it</summary>
      <p>{drill.measured}</p>
      <ul>
        {drill.rules.map(({ measure, title, low, high }) => (
          <li key={measure}>
            {title}: {low !== null && high !== null ? `${limit(measure, low)} to ${limit(measure, high)}` : low !== null ? `at least ${limit(measure, low)}` : `at most ${limit(measure, high)}`}
          </li>
        ))}
      </ul>
      <p>
        Evidence: {drill.evidence.grade}. {drill.evidence.says}
      </p>
      <p class="hint">{drill.evidence.source}</p>
    </details>
  );
}

const limit = (measure: string, value: number | null) => (value === null ? "" : measure.endsWith("_share") ? `${Math.round(100 * value)} %` : String(Math.round(100 * value) / 100));

const root = document.getElementById("app");
if (root) {
  const { drill, ice = "[]" } = root.dataset;
  root.replaceChildren(); // what the server wrote, for those without scripts
  render(drill ? <One id={drill} servers={JSON.parse(ice) as RTCIceServer[]} /> : <All />, root);
}
