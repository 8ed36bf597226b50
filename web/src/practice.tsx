/** Live practice: a microphone is chosen and checked, then what is said is shown while it is said, and in the end its report is made. */

import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { at, call, make, Problem, wish, type Wish } from "./api";
import { dated } from "./format";
import { captured, exchanged, type Capture } from "./mic-capture";
import { Check } from "./practice-check";
import { Live } from "./practice-live";
import { microphoneProblem } from "./mic";
import { PLAIN, wanted } from "./style";

type Stage =
  | { at: "before" }
  | { at: "asking" }
  | { at: "checking"; capture: Capture }
  | { at: "starting"; capture: Capture }
  | { at: "live"; capture: Capture; session: string };

function Practice({ rejoined, servers }: { rejoined: string | null; servers: RTCIceServer[] }) {
  const [stage, setStage] = useState<Stage>({ at: "before" });
  const [problem, setProblem] = useState("");
  const [said, setSaid] = useState("");
  const [manner, setManner] = useState(PLAIN);
  const begun = useRef(rejoined); // a session that was made: it is used even where its first start was refused
  const wished = useRef<Wish | null>(null); // whose answer has not come

  async function open(id?: string) {
    setProblem("");
    setStage({ at: "asking" });
    const capture = await captured(id);
    if (typeof capture === "string") {
      setProblem(capture);
      setStage({ at: "before" });
    } else setStage({ at: "checking", capture });
  }

  async function choose(capture: Capture, id: string) {
    setProblem("");
    setProblem(await exchanged(capture, id));
  }

  async function start(capture: Capture) {
    setProblem("");
    setStage({ at: "starting", capture });
    try {
      wished.current ??= wish({ kind: "live", title: `Practice, ${dated(new Date())}`, ...wanted(manner) });
      begun.current ??= (await make(wished.current)).id;
      wished.current = null;
      history.replaceState(null, "", `/practice/${begun.current}`); // a reload comes back to it
      setStage({ at: "live", capture, session: begun.current });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setProblem(error.message);
      setStage({ at: "checking", capture });
    }
  }

  /** Nothing was said in it: what was made for it is taken back. */
  async function refused(refusal: Problem, capture: Capture) {
    setProblem(refusal.message);
    setStage({ at: "checking", capture });
    const made = begun.current;
    if (rejoined || !made) return;
    begun.current = null;
    history.replaceState(null, "", "/practice");
    try {
      await call("DELETE", at(made));
    } catch (error) {
      if (!(error instanceof Problem)) throw error; // it stays in the list, where it can be deleted
    }
  }

  // Whoever cannot begin should know before they have found their words.
  useEffect(() => {
    call<{ problem: string | null; full: boolean }>("GET", "/v1/live").then(
      ({ problem, full }) => {
        if (problem) setProblem(`${problem} A recording can still be made and analysed on the first page.`);
        else if (full && !rejoined) setProblem("Too many people are speaking here right now. Try in some minutes, or make a recording on the first page.");
      },
      (error: unknown) => {
        if (!(error instanceof Problem)) throw error; // the start will tell
      },
    );
  }, []);

  // Who has allowed the microphone before is not asked whether to ask.
  useEffect(() => {
    navigator.permissions?.query({ name: "microphone" as PermissionName }).then(
      ({ state }) => {
        if (state === "granted") void open();
        if (state === "denied") setProblem(microphoneProblem("NotAllowedError"));
      },
      (error: unknown) => {
        if (!(error instanceof TypeError)) throw error; // a browser that does not tell
      },
    );
  }, []);

  const heading = rejoined ? "Your session is still open" : "Practise";
  return (
    <>
      {stage.at === "live" ? (
        <Live
          {...stage}
          servers={servers}
          onSaid={setSaid}
          onRefused={(refusal) => void refused(refusal, stage.capture)}
        />
      ) : (
        <h1>{heading}</h1>
      )}
      {(stage.at === "before" || stage.at === "asking") && (
        <section class="mic" aria-label="Microphone">
          <p class="call">First, a look at your microphone.</p>
          <p class="hint">The browser asks whether this page may use it. Nothing is sent or recorded before you start.</p>
          <p class="actions">
            <button type="button" class="main" disabled={stage.at === "asking"} onClick={() => void open()}>
              {stage.at === "asking" ? "Waiting for the browser…" : problem ? "Try again" : "Check the microphone"}
            </button>
          </p>
          {problem && <p class="trouble">{problem}</p>}
        </section>
      )}
      {(stage.at === "checking" || stage.at === "starting") && (
        <Check
          capture={stage.capture}
          starting={stage.at === "starting"}
          again={rejoined !== null}
          manner={manner}
          onManner={(chosen) => {
            if (manner.style) wished.current = null; // it was chosen, not just loaded
            setManner(chosen);
          }}
          onChoose={(id) => choose(stage.capture, id)}
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

const root = document.getElementById("app");
if (root) {
  const { session, ice = "[]" } = root.dataset;
  root.replaceChildren(); // what the server wrote, for those without scripts
  render(<Practice rejoined={session ?? null} servers={JSON.parse(ice) as RTCIceServer[]} />, root);
}
