/** One way of the sound to the server, while it lasts, and why there is none. */

export interface Link {
  by: "peer" | "socket";
  id: string; // what the server calls it in events; empty where it is told by itself that another one took over
  ended: Promise<End>;
  use(stream: MediaStream): void; // another microphone
  sent(): Promise<void>; // all that was captured so far is on its way
  heard(): Promise<void>; // it is there, and nothing more will come
  close(): void;
}

/** closed: by the server, which says why in the session's events. replaced: another connection speaks, or the session has ended. */
export type End = "lost" | "closed" | "replaced";

/** No way to the server right now. */
export class Unreached extends Error {}

/** The server answered, and yet no sound gets through. */
export class Blocked extends Unreached {}
