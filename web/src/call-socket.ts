/** The microphone to the server over a WebSocket, where UDP does not get through: every piece with its place, so nothing is guessed. */

import { at } from "./api";
import { Unreached, type End, type Link } from "./call-link";
import type { Capture } from "./mic-capture";

const READY_MS = 4000;
const STALLED_MS = 5000; // nothing was taken for so long: the line is dead, and TCP would take minutes to say so
const IN_FLIGHT = 256 * 1024; // bytes
const MESSAGE_S = 0.2; // at most, when there is much to send
const OFFSET_BYTES = 8;
const SESSION_HZ = 16_000;

interface Ready {
  expected: number; // sample of the session, 16 kHz
}

interface Message {
  ready?: Ready;
  error?: { code: string };
}

/** `placed` tells, once the server has said what it expects, which sample of the capture is the session's first. Raises Unreached. */
export async function bySocket(session: string, capture: Capture, placed: (expected: number) => number, signal: AbortSignal): Promise<Link> {
  const address = new URL(at(session, `/audio?rate=${capture.rateHz}&offsets=1`), location.href);
  address.protocol = address.protocol.replace("http", "ws");
  const socket = new WebSocket(address);
  let why: End = "lost";
  const ended = new Promise<End>((end) => socket.addEventListener("close", () => end(why)));
  const abort = () => socket.close();
  signal.addEventListener("abort", abort);
  const limit = setTimeout(abort, READY_MS);
  const ready = await new Promise<Ready | null>((done) => {
    void ended.then(() => done(null));
    socket.addEventListener("message", (event: MessageEvent<string>) => {
      const message = JSON.parse(event.data) as Message;
      if (message.ready) done(message.ready);
      if (message.error?.code === "not-heard") why = "replaced";
    });
  });
  clearTimeout(limit);
  signal.removeEventListener("abort", abort);
  if (!ready) throw new Unreached();

  const origin = placed(ready.expected);
  let next = Math.max(origin + Math.ceil((ready.expected * capture.rateHz) / SESSION_HZ), capture.oldest, origin);
  let moved = performance.now();
  const pump = () => {
    if (socket.readyState !== WebSocket.OPEN) return;
    if (socket.bufferedAmount < IN_FLIGHT) moved = performance.now();
    if (performance.now() - moved > STALLED_MS) socket.close();
    while (next < capture.count && socket.bufferedAmount < IN_FLIGHT) {
      next = Math.max(next, capture.oldest);
      const pcm = capture.slice(next, next + Math.round(capture.rateHz * MESSAGE_S));
      socket.send(message(next - origin, pcm));
      next += pcm.length;
    }
  };
  const deaf = capture.hear(pump);
  void ended.then(deaf);
  pump();
  return {
    by: "socket",
    id: "",
    ended,
    use: () => undefined, // it sends what is captured, wherever that comes from
    sent: async () => {
      const all = capture.count;
      while (socket.readyState === WebSocket.OPEN && (next < all || socket.bufferedAmount > 0)) {
        await new Promise((done) => setTimeout(done, 50));
        pump();
      }
    },
    heard: async () => {
      deaf();
      if (socket.readyState === WebSocket.OPEN) socket.send('{"end": true}');
      await ended;
    },
    close: () => {
      deaf();
      socket.close();
    },
  };
}

/** 8 bytes, little-endian: the place of the first sample. Then the samples, which every machine with a browser keeps little-endian too. */
function message(place: number, pcm: Int16Array): ArrayBuffer {
  const out = new ArrayBuffer(OFFSET_BYTES + pcm.byteLength);
  new DataView(out).setBigUint64(0, BigInt(place), true);
  new Uint8Array(out, OFFSET_BYTES).set(new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength));
  return out;
}
