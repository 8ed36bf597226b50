/** While it is live: what is said and measured, how long it has been, and what is wrong where something is. */

import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { at, call, Problem, type Session } from "./api";
import { Call, type Line } from "./call";
import { clock } from "./format";
import { follow, type Following } from "./live/events";
import { openPictureInPicture } from "./live/picture";
import { LiveStore, type Envelope } from "./live/store";
import { LiveView } from "./live/view";
import { microphoneProblem, microphones, openMicrophone, remember, type Microphone } from "./mic";
import type { Capture } from "./mic-capture";
import { Level } from "./mic-level";

const UNHEARD_S = 10; // of silence from a microphone before it is asked about
const UNTOLD_MS = 4000; // without a number while the line is said to be open
const TICK_MS = 250;
const END_WAITS_MS = [500, 1000, 2000, 4000, 8000, 8000, 8000, 8000, 8000, 8000]; // the server closes a session by itself after a minute

interface Props {
  capture: Capture;
  session: string;
  servers: RTCIceServer[];
  onSaid: (words: string) => void;
  onRefused: (problem: Problem) => void;
  drill?: Drilling;
}

/** What is different where a drill is done. */
export interface Drilling {
  title: string;
  limitS: number; // then it stops by itself
  view: (store: LiveStore) => ComponentChildren; // the one thing to watch
  onOver: () => void; // instead of going to the session
}

/** The store, with someone who listens to every event. */
class Heard extends LiveStore {
  arrivedMs = 0; // when the newest reading came
  ear: (event: Envelope) => void = () => undefined;

  override take(event: Envelope): void {
    super.take(event);
    if (event.stream === "metrics") this.arrivedMs = performance.now();
    this.ear(event);
  }
}

export function Live({ capture, session, servers, onSaid, onRefused, drill }: Props) {
  const store = useMemo(() => new Heard(session), [session]);
  const ongoing = useRef<Call | null>(null);
  const [turn, setTurn] = useState(0); // this window's: it may have to take it back
  const [line, setLine] = useState<Line>({ at: "connecting" });
  const [following, setFollowing] = useState<Following>("connecting");
  const [ending, setEnding] = useState(false);
  const [problem, setProblem] = useState("");
  const late = useLate(store);
  const ear = useMicrophone(capture, ongoing);
  const left = useRef(false);
  const ended = useRef(false); // or about to
  const stopButton = useRef<HTMLButtonElement>(null);
  useAwake();
  useWarning(!ending || line.at === "lost");

  useEffect(() => {
    const made = new Call(session, capture, servers, setLine);
    ongoing.current = made;
    store.ear = (event) => made.heard(event);
    return () => made.close();
  }, [turn]);
  useEffect(() => {
    stopButton.current?.focus();
    document.title = "● Recording · Elocute";
    const unfollow = follow(session, store, { onState: setFollowing });
    return () => {
      unfollow();
      document.title = `${drill?.title ?? "Practice"} · Elocute`;
    };
  }, []);

  // Ended elsewhere: by its speaker in another window, or because nobody was heard for too long.
  useEffect(() => store.subscribe(() => store.over && leave()), []);
  useEffect(() => {
    if (!drill || ending) return undefined;
    return store.subscribe(() => store.tMs / 1000 >= drill.limitS && void stop());
  }, [ending]);
  useEffect(() => {
    if (line.at === "elsewhere") void look();
    if (line.at !== "refused") return;
    if (line.problem.code === "wrong-state") leave();
    else if (store.seq > 0) setProblem(line.problem.message);
    else onRefused(line.problem);
  }, [line]);

  /** Another window speaks, or the session is over. */
  async function look() {
    try {
      const { state } = await call<Session>("GET", at(session));
      if (state !== "live") leave();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setTurn((before) => before + 1); // it is away: that is waited for
    }
  }

  function leave() {
    if (left.current) return; // the session's own word for it may come before the answer
    left.current = true;
    setEnding(true);
    ongoing.current?.close();
    capture.close();
    if (drill) drill.onOver();
    else location.assign(`/sessions/${session}`);
  }

  /** What was pressed is about to vanish, and the focus must not vanish with it. */
  function goOn(act: () => void) {
    stopButton.current?.focus();
    act();
  }

  async function stop() {
    if (ended.current) return;
    ended.current = true;
    setEnding(true);
    setProblem("");
    await ongoing.current?.finish();
    for (const waitMs of [...END_WAITS_MS, null]) {
      try {
        await call("POST", at(session, "/end"));
        return leave();
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        if (error.code === "wrong-state") return leave();
        if (waitMs === null || !error.passing) {
          setProblem(error.message);
          ended.current = false;
          setEnding(false);
          return;
        }
        await new Promise((done) => setTimeout(done, waitMs));
      }
    }
  }

  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || ending) return;
      event.preventDefault();
      void stop();
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  });

  const notice = problem ? grave(problem) : told(line, following, late, ending, ear.trouble, drill ? "your result is told" : "your report is made");
  useEffect(() => onSaid(notice?.words ?? (line.at === "open" ? "Recording. Speak." : "Connecting")), [notice?.words, line.at]);

  const stale = late || line.at === "lost";
  const notices = (
    <>
      {notice && <p class={notice.kind}>{notice.words}</p>}
      {line.at === "elsewhere" && !ending && <Button onPress={() => goOn(() => setTurn(turn + 1))}>Speak here again</Button>}
      {ear.choice.map(({ id, label }) => (
        <Button key={id} onPress={() => goOn(() => void ear.choose(id))}>
          Use {label}
        </Button>
      ))}
    </>
  );
  return (
    <>
      <h1 class="quiet">{drill?.title ?? "Practice"}</h1>
      <div class="studio">
        <p class={`running ${ending ? "ending" : line.at}`}>
          <i class="dot" aria-hidden="true" />
          <Elapsed store={store} ending={ending} /> <span class="hint">{ending ? "Stopping" : STATUS[line.at]}</span>
        </p>
        <button ref={stopButton} type="button" class="main" disabled={ending} aria-keyshortcuts="Control+Enter" title="Ctrl + Enter" onClick={() => void stop()}>
          {ending ? "Stopping…" : drill ? "Done" : "Stop and get the report"}
        </button>
        {!drill && <Overlay store={store} />}
      </div>
      {drill ? (
        <div class={stale ? "live stale" : "live"}>
          {drill.view(store)}
          <div class="strip">
            <div class="notice">{notices}</div>
          </div>
        </div>
      ) : (
        <LiveView store={store} stale={stale}>
          {notices}
        </LiveView>
      )}
    </>
  );
}

const STATUS: Record<Line["at"], string> = {
  connecting: "Connecting…",
  open: "Recording",
  lost: "No connection",
  elsewhere: "Not heard",
  refused: "No connection",
};

interface Notice {
  kind: "trouble" | "note" | "calm";
  words: string;
}

const grave = (words: string): Notice => ({ kind: "trouble", words });

/** What is to be known, the gravest first; nothing where all is well. */
function told(line: Line, following: Following, late: boolean, ending: boolean, trouble: string, then: string): Notice | null {
  if (line.at === "lost") return grave(ending ? "Connection lost. The session ends as soon as it is back; keep this page open." : "Connection lost. Your last minute is kept; reconnecting…");
  if (ending) return { kind: "calm", words: `The last words are being recognised; then ${then}.` };
  if (line.at === "elsewhere") return { kind: "note", words: "Another window speaks for this session now. What you say here is not heard." };
  if (trouble) return grave(trouble);
  if (line.at === "open" && (following === "away" || late)) return { kind: "note", words: "The server does not answer right now. Go on: your last minute is kept." };
  return null;
}

function Button({ onPress, children }: { onPress: () => void; children: ComponentChildren }) {
  return (
    <button type="button" class="plain" onClick={onPress}>
      {children}
    </button>
  );
}

/** Whether no reading came for some seconds: a line that is cut shows it only later. */
function useLate(store: Heard): boolean {
  const [late, setLate] = useState(false);
  useEffect(() => {
    const timer = setInterval(() => setLate(store.arrivedMs > 0 && performance.now() - store.arrivedMs > UNTOLD_MS), TICK_MS);
    return () => clearInterval(timer);
  }, []);
  return late;
}

/** How long the session is, on its own clock; between its readings, and while there are none, time goes on. */
function Elapsed({ store, ending }: { store: Heard; ending: boolean }) {
  const [shownS, setShownS] = useState(0);
  useEffect(() => {
    if (ending) return undefined;
    const timer = setInterval(() => {
      const sinceMs = store.arrivedMs ? performance.now() - store.arrivedMs : 0;
      setShownS((before) => Math.max(before, (store.tMs + sinceMs) / 1000));
    }, TICK_MS);
    return () => clearInterval(timer);
  }, [ending]);
  return <span class="clock">{clock(shownS)}</span>;
}

function Overlay({ store }: { store: LiveStore }) {
  const [copied, setCopied] = useState(false);
  const address = new URL(`/overlay/${store.session}`, location.href).href;
  return (
    <p class="overlay-links">
      <button type="button" class="link" onClick={() => void openPictureInPicture(store)}>
        Small window on top
      </button>
      <a href={address} target="_blank" rel="noopener">
        Overlay
      </a>
      <button type="button" class="link" title="Copy the overlay's address" onClick={() => void navigator.clipboard.writeText(address).then(() => setCopied(true))}>
        {copied ? "Copied" : "Copy for OBS"}
      </button>
    </p>
  );
}

interface Ear {
  trouble: string;
  choice: Microphone[]; // to go on with, where the one in use fails
  choose: (id: string) => Promise<void>;
}

/** Watches the microphone: pulled out, muted by a key, or silent for long. */
function useMicrophone(capture: Capture, ongoing: { current: Call | null }): Ear {
  const [track, setTrack] = useState(capture.track);
  const [gone, setGone] = useState(false);
  const [muted, setMuted] = useState(track.muted);
  const [unheard, setUnheard] = useState(false);
  const [refused, setRefused] = useState("");
  const [others, setOthers] = useState<Microphone[]>([]);
  const failing = gone || muted || unheard;

  useEffect(() => {
    const level = new Level(capture.rateHz);
    return capture.hear((piece) => level.take(piece) && setUnheard(level.quietS >= UNHEARD_S));
  }, [track]);
  useEffect(() => {
    const look = () => {
      setGone(track.readyState === "ended");
      setMuted(track.muted);
    };
    look();
    for (const event of ["ended", "mute", "unmute"]) track.addEventListener(event, look);
    return () => {
      for (const event of ["ended", "mute", "unmute"]) track.removeEventListener(event, look);
    };
  }, [track]);
  useEffect(() => {
    if (!failing) {
      setOthers([]);
      return undefined;
    }
    const list = () => void microphones().then((all) => setOthers(all.filter(({ id }) => gone || id !== track.getSettings().deviceId)));
    list();
    navigator.mediaDevices.addEventListener("devicechange", list);
    return () => navigator.mediaDevices.removeEventListener("devicechange", list);
  }, [failing, gone, track]);

  async function choose(id: string) {
    setRefused("");
    try {
      const stream = await openMicrophone(id);
      remember(id);
      ongoing.current?.use(stream);
      setTrack(capture.track);
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;
      setRefused(microphoneProblem(error.name));
    }
  }

  const device = track.label || "the microphone";
  const trouble = gone
    ? `${device} is gone. Plug it in again or go on with another one; what was said so far is safe.`
    : muted
      ? `${device} is muted, by the system or by a key on it.`
      : unheard
        ? `We hear nothing from ${device}: is it muted?`
        : "";
  return { trouble: refused || trouble, choice: others, choose };
}

/** Keeps the screen on: who speaks touches nothing. */
function useAwake(): void {
  useEffect(() => {
    let lock: WakeLockSentinel | null = null;
    let over = false;
    const ask = async () => {
      if (document.visibilityState !== "visible" || !("wakeLock" in navigator)) return;
      try {
        lock = await navigator.wakeLock.request("screen");
        if (over) await lock.release();
      } catch (error) {
        if (!(error instanceof DOMException)) throw error; // a battery that is low: the screen goes off as ever
      }
    };
    void ask();
    document.addEventListener("visibilitychange", ask); // a hidden page loses it
    return () => {
      over = true;
      document.removeEventListener("visibilitychange", ask);
      void lock?.release();
    };
  }, []);
}

/** Closing the page would end the session. */
function useWarning(wanted: boolean): void {
  useEffect(() => {
    if (!wanted) return undefined;
    const warn = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener("beforeunload", warn);
    return () => window.removeEventListener("beforeunload", warn);
  }, [wanted]);
}
