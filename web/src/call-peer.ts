/** The microphone to the server by WebRTC. */

import { at, call } from "./api";
import { Blocked, Unreached, type End, type Link } from "./call-link";

const ANSWER_MS = 4000; // for the server
const CONNECT_MS = 4000; // for UDP to get through; where it is blocked nothing ever does
const GATHER_MS = 1000; // for this machine's own addresses, which take a tenth of that
const GRACE_MS = 1500; // a line that comes back by itself is faster than a new one
const UNDERWAY_MS = 300; // for the last packets, since nobody says when they have come
const OPUS = "maxaveragebitrate=64000;stereo=0;useinbandfec=1;usedtx=0"; // transparent for a voice; silence is sent as sound

interface Answer {
  sdp: string;
  type: RTCSdpType;
  connection: string;
}

/** Raises Unreached where nothing gets through, Problem where the server refuses. */
export async function byPeer(session: string, stream: MediaStream, servers: RTCIceServer[], signal: AbortSignal): Promise<Link> {
  const peer = new RTCPeerConnection({ iceServers: servers });
  const ended = new Promise<End>((end) => watch(peer, end));
  try {
    const [track] = stream.getAudioTracks();
    if (!track) throw new Error("a microphone without a track");
    const { sender } = peer.addTransceiver(track, { direction: "sendonly", streams: [stream] });
    await peer.setLocalDescription();
    await until(peer, "icegatheringstatechange", () => peer.iceGatheringState === "complete", GATHER_MS);
    const limit = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
    const offer = { sdp: peer.localDescription?.sdp ?? "", type: "offer" };
    const answer = await call<Answer>("POST", at(session, "/offer"), offer, limit).catch((error: unknown) => {
      throw error instanceof DOMException && !signal.aborted ? new Unreached() : error;
    });
    await peer.setRemoteDescription({ type: answer.type, sdp: tuned(answer.sdp) });
    if (!(await until(peer, "connectionstatechange", () => peer.connectionState === "connected", CONNECT_MS)) || signal.aborted) throw new Blocked();
    return {
      by: "peer",
      id: answer.connection,
      ended,
      use: (stream) => void sender.replaceTrack(stream.getAudioTracks()[0] ?? null),
      sent: () => Promise.resolve(),
      heard: () => new Promise((done) => setTimeout(done, UNDERWAY_MS)),
      close: () => peer.close(),
    };
  } catch (error) {
    peer.close();
    throw error;
  }
}

/** Ends when the line is lost for longer than a moment, or the server closed it. */
function watch(peer: RTCPeerConnection, end: (why: End) => void): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  peer.addEventListener("connectionstatechange", () => {
    clearTimeout(timer);
    if (peer.connectionState === "disconnected") timer = setTimeout(() => end("lost"), GRACE_MS);
    if (peer.connectionState === "failed") end(closed(peer) ? "closed" : "lost");
    if (peer.connectionState === "closed") end("closed");
  });
}

/** Whether the server said goodbye, which a line that is cut cannot. */
function closed(peer: RTCPeerConnection): boolean {
  return peer.getSenders().some(({ transport }) => transport?.state === "closed");
}

/** Whether it came to hold within the time. */
function until(peer: RTCPeerConnection, event: string, holds: () => boolean, limitMs: number): Promise<boolean> {
  return new Promise((done) => {
    const look = () => {
      const over = holds() || peer.connectionState === "failed" || peer.connectionState === "closed";
      if (over) finish();
    };
    const finish = () => {
      clearTimeout(timer);
      peer.removeEventListener(event, look);
      done(holds());
    };
    const timer = setTimeout(finish, limitMs);
    peer.addEventListener(event, look);
    look();
  });
}

/** The answer with what the browser is to send: it reads the wishes of the other side there. */
export function tuned(sdp: string): string {
  const kind = /^a=rtpmap:(\d+) opus\//im.exec(sdp)?.[1];
  if (!kind) return sdp;
  const line = new RegExp(`^a=fmtp:${kind} .*$`, "m");
  if (line.test(sdp)) return sdp.replace(line, `a=fmtp:${kind} ${OPUS}`);
  return sdp.replace(new RegExp(`^(a=rtpmap:${kind} .*)$`, "m"), `$1\r\na=fmtp:${kind} ${OPUS}`);
}
