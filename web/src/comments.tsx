/** What people wrote about a session or a place in it, each place to be heard, and room for more. */

import { useEffect, useRef, useState } from "preact/hooks";
import { at, call, Problem, type Session } from "./api";
import { clock, when } from "./format";

const LEAD_S = 2; // what a remark is about was said before it was written
const LONGEST = 2000; // characters

interface Comment {
  id: string;
  at_s: number | null;
  text: string;
  created_at: string;
}

export function Comments({ session }: { session: Session }) {
  const [comments, setComments] = useState<readonly Comment[]>([]);
  const [problem, setProblem] = useState("");
  const [acting, setActing] = useState(false);
  const [playing, setPlaying] = useState(false);
  const audio = useRef<HTMLAudioElement>(null);
  const text = useRef<HTMLTextAreaElement>(null);
  const place = useRef<HTMLInputElement>(null);

  async function load() {
    setComments((await call<{ comments: Comment[] }>("GET", at(session.id, "/comments"))).comments);
  }

  /** Does it and shows what there is then; false where it was refused. */
  async function act(work: () => Promise<unknown>): Promise<boolean> {
    setActing(true);
    try {
      await work();
      await load();
      setProblem("");
      return true;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setProblem(error.message);
      return false;
    } finally {
      setActing(false);
    }
  }

  useEffect(() => void act(async () => undefined), []);

  async function add() {
    const written = text.current?.value.trim() ?? "";
    const at_s = secondsOf(place.current?.value.trim() ?? "");
    if (!written) return setProblem("Write something first.");
    if (at_s !== null && session.duration_s !== undefined && at_s > session.duration_s) return setProblem(`The recording ends at ${clock(session.duration_s)}.`);
    const wanted = at_s === null ? { text: written } : { text: written, at_s };
    if (!(await act(() => call("POST", at(session.id, "/comments"), wanted)))) return;
    for (const { current } of [text, place]) if (current) current.value = "";
  }

  async function play(atS: number) {
    setPlaying(true);
    if (!audio.current) return;
    for (const other of document.querySelectorAll<HTMLMediaElement>("audio, video")) other.pause(); // one voice at a time
    audio.current.currentTime = Math.max(0, atS - LEAD_S);
    try {
      await audio.current.play();
    } catch (error) {
      if (!(error instanceof DOMException)) throw error; // the browser wants a press first: it stands at the place, and waits
    }
  }

  return (
    <section aria-labelledby="comments-title">
      <h2 id="comments-title">Comments</h2>
      {comments.length > 0 && (
        <ul class="comments">
          {comments.map(({ id, at_s, text: said, created_at }) => (
            <li key={id}>
              {at_s !== null && (
                <button type="button" class="plain" aria-label={`Play from ${clock(at_s)}`} onClick={() => void play(at_s)}>
                  ▶ <span class="at">{clock(at_s)}</span>
                </button>
              )}
              <p dir="auto">{said}</p>
              <time dateTime={created_at}>{when(created_at)}</time>
              <button type="button" class="link small" disabled={acting} onClick={() => void act(() => call("DELETE", at(session.id, `/comments/${id}`)))}>
                Remove<span class="quiet"> “{said.slice(0, 60)}”</span>
              </button>
            </li>
          ))}
        </ul>
      )}
      <audio ref={audio} controls hidden={!playing} preload="none" src={at(session.id, "/audio")} aria-label="The recording, from the place of a comment" />
      <form
        class="comment"
        onSubmit={(event) => {
          event.preventDefault();
          void add();
        }}
      >
        <label for="comment">New comment</label>
        <textarea ref={text} id="comment" rows={3} maxLength={LONGEST} />
        <p class="field">
          <label for="comment-at">At</label>
          <input ref={place} id="comment-at" size={6} placeholder="1:05" pattern="(\d{1,2}:)?\d{1,3}:[0-5]\d" title="Minutes and seconds, such as 1:05" autocomplete="off" aria-describedby="comment-hint" />
          <button type="submit" class="plain" disabled={acting}>
            Add
          </button>
        </p>
        <p class="hint" id="comment-hint">
          Without a time it is about the whole session. Comments can be searched.
        </p>
      </form>
      {problem && (
        <p class="trouble" role="alert">
          {problem}
        </p>
      )}
    </section>
  );
}

/** Of 1:05 or 1:02:03; null where nothing is written. */
function secondsOf(written: string): number | null {
  return written ? written.split(":").reduce((sum, part) => 60 * sum + Number(part), 0) : null;
}
