/** Moments worth hearing again, what went best first, each as a clip to play and to keep; and clips of one's own. */

import { useEffect, useRef, useState } from "preact/hooks";
import { at, call, Problem, type Clip, type Moment } from "./api";
import { clock } from "./format";

const KEEP: [string, string][] = [
  ["clip.mp4", "Video"],
  ["clip.m4a", "Sound"],
  ["clip.vtt", "Captions"],
];

interface Props {
  session: string;
  language: string;
  moments: readonly Moment[];
  acting: boolean;
  onCut: (wanted: { start_s: number; end_s: number; label: string }) => void;
}

export function Moments({ session, language, moments, acting, onCut }: Props) {
  const [clips, setClips] = useState<readonly Clip[]>([]);
  const [problem, setProblem] = useState("");
  const list = useRef<HTMLDivElement>(null);

  async function load() {
    try {
      setClips((await call<{ clips: Clip[] }>("GET", at(session, "/clips"))).clips);
      setProblem("");
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setProblem(error.message);
    }
  }

  async function remove(clip: Clip) {
    try {
      await call("DELETE", at(session, `/clips/${clip.id}`));
      await load();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setProblem(error.message);
    }
  }

  useEffect(() => void load(), []);

  // One voice at a time.
  function alone({ target }: Event) {
    for (const other of list.current?.querySelectorAll("video") ?? []) if (other !== target) other.pause();
  }

  const own = clips.filter((clip) => clip.moment === null);
  const groups: [string, readonly Moment[]][] = [
    ["What went well", moments.filter((moment) => moment.kind === "best")],
    ["Worth another try", moments.filter((moment) => moment.kind === "stumble")],
  ];
  return (
    <section aria-labelledby="moments-title">
      <div class="bar">
        <h2 id="moments-title">Moments</h2>
        <p class="hint">Cut out of your recording, to hear again or to keep.</p>
      </div>
      {problem && (
        <p class="trouble" role="alert">
          {problem}
        </p>
      )}
      <div ref={list} onPlayCapture={alone}>
        {moments.length === 0 && <p class="empty">No stretch stands out in this recording.</p>}
        {groups.map(
          ([title, those]) =>
            those.length > 0 && (
              <div key={title}>
                <h3>{title}</h3>
                <ul class="clips">
                  {those.map((moment) => {
                    const clip = clips.find((one) => one.moment === moment.id);
                    return (
                      <li key={moment.id}>
                        <Player name={moment.why} language={language} clip={clip} />
                        <p class="why">{moment.why}</p>
                        <p class="said" lang={language}>
                          {moment.text}
                        </p>
                        <Keep startS={moment.cut_start_s} endS={moment.cut_end_s} clip={clip} />
                      </li>
                    );
                  })}
                </ul>
              </div>
            ),
        )}
        {own.length > 0 && (
          <>
            <h3>Your own</h3>
            <ul class="clips">
              {own.map((clip) => (
                <li key={clip.id}>
                  <Player name={clip.label || "Your clip"} language={language} clip={clip} />
                  <p class="why">{clip.label || "A clip of yours"}</p>
                  <Keep startS={clip.start_s} endS={clip.end_s} clip={clip}>
                    <button type="button" class="link danger" disabled={acting} onClick={() => void remove(clip)}>
                      Delete
                      <span class="quiet"> the clip {clip.label || clock(clip.start_s)}</span>
                    </button>
                  </Keep>
                </li>
              ))}
            </ul>
          </>
        )}
      </div>
      <Cut acting={acting} onCut={onCut} />
    </section>
  );
}

function Player({ name, language, clip }: { name: string; language: string; clip: Clip | undefined }) {
  const url = (file: string) => clip?.files.find((one) => one.name === file)?.url;
  const video = url("clip.mp4");
  if (!video) return <div class="not-yet" />;
  return (
    <video controls preload="none" playsInline poster={url("clip.jpg")} src={video} aria-label={name}>
      <track kind="captions" srcLang={language} label="Captions" src={url("clip.vtt")} default />
    </video>
  );
}

function Keep({ startS, endS, clip, children }: { startS: number; endS: number; clip: Clip | undefined; children?: preact.ComponentChildren }) {
  return (
    <p class="keep">
      <span class="at">
        {clock(startS)} to {clock(endS)}
      </span>
      {KEEP.map(([name, title]) => {
        const file = clip?.files.find((one) => one.name === name);
        return (
          file && (
            <a key={name} href={`${file.url}?download=1`} download>
              {title}
              <span class="quiet"> of {clock(startS)}</span>
            </a>
          )
        );
      })}
      {children}
    </p>
  );
}

/** "1:02.5" or "62.5" in seconds; NaN for anything else. */
export function secondsOf(text: string): number {
  const found = /^(?:(?:(\d{1,2}):)?(\d{1,3}):)?(\d{1,5}(?:[.,]\d{1,3})?)$/.exec(text.trim());
  if (!found) return NaN;
  return Number(found[1] ?? 0) * 3600 + Number(found[2] ?? 0) * 60 + Number((found[3] ?? "").replace(",", "."));
}

function Cut({ acting, onCut }: Pick<Props, "acting" | "onCut">) {
  const [from, setFrom] = useState("");
  const [to, setTo] = useState("");
  const [label, setLabel] = useState("");
  const [startS, endS] = [secondsOf(from), secondsOf(to)];
  const fits = endS > startS; // false for NaN
  return (
    <details class="cut">
      <summary>Cut out a clip of your own</summary>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (fits) onCut({ start_s: startS, end_s: endS, label: label.trim() });
        }}
      >
        <label>
          From
          <input placeholder="0:30" required autocomplete="off" value={from} onInput={(event) => setFrom(event.currentTarget.value)} />
        </label>
        <label>
          To
          <input placeholder="0:42" required autocomplete="off" value={to} onInput={(event) => setTo(event.currentTarget.value)} />
        </label>
        <label class="named-clip">
          Name
          <input maxLength={200} autocomplete="off" value={label} onInput={(event) => setLabel(event.currentTarget.value)} />
        </label>
        <button type="submit" class="plain" disabled={acting || !fits}>
          Cut
        </button>
      </form>
      <p class="hint">Minutes and seconds of the recording, two minutes at most. The clip is ready in a few seconds.</p>
    </details>
  );
}
