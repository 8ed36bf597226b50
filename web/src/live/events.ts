/** Follows a session: its events come over a WebSocket, or as server-sent events where something between does not let that through. */

import { at, call, Problem } from "../api";
import type { Envelope, LiveStore } from "./store";

const STREAMS = ["tokens", "metrics", "cue", "state"];
const AGAIN_MS = [300, 1000, 2000, 4000, 8000]; // before each try after the last answer
const OPEN_MS = 8000; // a line that has not opened by then never will
const ASK_MS = 5000; // after so long without a word the other end is asked whether it is there
const DEAD_MS = 15_000; // after so long the line is dead, whatever the browser believes

/** How the line to the server is. gone: there is no such session (any more), and nothing is tried again. */
export type Following = "connecting" | "open" | "away" | "gone";

export interface Watch {
  onState?: (state: Following) => void;
}

interface Line {
  ask: (() => void) | null; // for a sign of life; null where that cannot be asked for
  close: () => void;
}

interface Ears {
  opened: () => void;
  heard: (message: Partial<Envelope> & Control) => void;
  ended: () => void;
}

/** What a WebSocket carries besides events (docs/protocol.md). */
interface Control {
  subscribed?: string[];
  missed?: { to: number };
}

/** Feeds the store from where it stands, again and again until the function that this gives is called. No event is lost or comes twice. */
export function follow(session: string, store: LiveStore, { onState }: Watch = {}): () => void {
  let told: Following | null = null;
  let line: Line | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let failures = 0;
  let socketWorks = false; // it got through once, so it will again
  let stopped = false;
  let heardAt = performance.now();

  const tell = (state: Following) => {
    if (state !== told && !stopped) onState?.((told = state));
  };
  const stop = () => {
    stopped = true;
    clearTimeout(timer);
    clearInterval(watch);
    removeEventListener("online", hurry);
    line?.close();
  };
  const gone = () => {
    tell("gone");
    stop();
  };
  const ears: Ears = {
    opened() {
      heardAt = performance.now();
      failures = 0;
      tell("open");
    },
    heard(message) {
      heardAt = performance.now();
      if (message.missed) store.missed(message.missed.to);
      else if (message.seq !== undefined) store.take(message as Envelope);
      if (store.phase === "deleting") gone();
    },
    ended() {
      line = null;
      if (stopped) return;
      if (told === "open") tell("away");
      timer = setTimeout(() => void begin(), (AGAIN_MS[Math.min(failures, AGAIN_MS.length - 1)] ?? 0) * (0.75 + Math.random() / 2));
      failures += 1;
    },
  };
  async function begin() {
    timer = undefined;
    if (failures > 0) {
      const answer = await lookedUp(session);
      if (stopped || timer !== undefined || line) return;
      if (answer === "missing") return gone();
      if (answer === "silent" && failures > 1) tell("away");
    }
    const overSocket = socketWorks || failures % 2 === 0;
    const opened = () => {
      socketWorks ||= overSocket;
      ears.opened();
    };
    line = (overSocket ? socket : stream)(session, store.seq, { ...ears, opened });
  }
  const hurry = () => {
    if (timer === undefined) return;
    clearTimeout(timer);
    void begin();
  };
  const watch = setInterval(() => {
    const silentMs = performance.now() - heardAt;
    if (!line || silentMs < ASK_MS) return;
    if (silentMs < DEAD_MS) line.ask?.();
    else if (line.ask || store.phase === "live") {
      // A live session says something five times a second; one that is not may well be silent.
      heardAt = performance.now();
      line.close();
      ears.ended();
    }
  }, ASK_MS);
  addEventListener("online", hurry);
  tell("connecting");
  void begin();
  return stop;
}

async function lookedUp(session: string): Promise<"there" | "missing" | "silent"> {
  try {
    await call("GET", at(session));
    return "there";
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return error.status === 404 ? "missing" : "silent";
  }
}

function socket(session: string, after: number, { opened, heard, ended }: Ears): Line {
  const address = new URL("/v1/ws", location.href);
  address.protocol = address.protocol.replace("http", "ws");
  const line = new WebSocket(address);
  const close = () => {
    clearTimeout(late);
    line.onmessage = line.onclose = line.onopen = null;
    line.close();
  };
  const over = () => {
    close();
    ended();
  };
  const late = setTimeout(over, OPEN_MS);
  line.onopen = () => line.send(JSON.stringify({ subscribe: STREAMS.map((name) => `session:${session}:${name}`), after }));
  line.onclose = over;
  line.onmessage = ({ data }: MessageEvent<string>) => {
    const message = JSON.parse(data) as Partial<Envelope> & Control;
    if (message.subscribed?.length === 0) return over(); // refused
    if (message.subscribed) {
      clearTimeout(late);
      opened();
    }
    heard(message);
  };
  return { close, ask: () => line.readyState === WebSocket.OPEN && line.send(JSON.stringify({ ping: 0 })) };
}

function stream(session: string, after: number, { opened, heard, ended }: Ears): Line {
  const line = new EventSource(at(session, `/events?streams=${STREAMS.join(",")}&after=${after}`));
  const close = () => {
    clearTimeout(late);
    line.onopen = line.onmessage = line.onerror = null;
    line.close();
  };
  const over = () => {
    close();
    ended();
  };
  const late = setTimeout(over, OPEN_MS);
  line.onopen = () => {
    clearTimeout(late);
    opened();
  };
  line.onmessage = ({ data }: MessageEvent<string>) => heard(JSON.parse(data) as Envelope);
  line.onerror = over; // the browser would try again by itself, but would not go back to the WebSocket
  return { close, ask: null };
}
