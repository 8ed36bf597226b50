/** How a script was read: its words as they were said. */

import { useEffect, useRef, useState } from "preact/hooks";
import { at, call, Problem } from "./api";
import { printed } from "./format";

interface Share {
  value: number;
  low: number | null;
  high: number | null;
}

interface Said {
  text: string;
  heard: string | null;
  start_s: number | null;
  end_s: number | null;
  level: "clear" | "unsure" | "other" | "left_out" | null;
}

interface Pronunciation {
  refusal: string | null;
  completeness: Share;
  accuracy: Share;
  words: Said[];
  limits: string;
}

const LEAD_S = 0.15; // around a word: its edges are not exact
const LEVELS = { clear: "clear", unsure: "unsure", other: "heard as something else", left_out: "left out" };

export function Reading({ session }: { session: string }) {
  const audio = useRef<HTMLAudioElement>(null);
  const until = useRef(Infinity);
  const [found, setFound] = useState<Pronunciation | null>(null);
  useEffect(() => {
    call<{ pronunciation?: Pronunciation | null }>("GET", at(session, "/coaching")).then(
      ({ pronunciation }) => setFound(pronunciation ?? null),
      (error: unknown) => {
        if (!(error instanceof Problem)) throw error; // the session says itself what is wrong
      },
    );
  }, []);
  if (!found) return null;

  function play(startS: number, endS: number) {
    if (!audio.current) return;
    audio.current.currentTime = Math.max(0, startS - LEAD_S);
    until.current = endS + LEAD_S;
    void audio.current.play();
  }

  return (
    <section aria-labelledby="reading-title">
      <h2 id="reading-title">How the script was read</h2>
      {found.refusal ? (
        <p>Not judged: {found.refusal}.</p>
      ) : (
        <>
          <p>
            <Percent share={found.completeness} /> of its words were said, <Percent share={found.accuracy} /> of those were recognised as written. Press a word to hear it.
          </p>
          <p class="hint legend">
            Marks: <span class="read unsure">unsure</span>, <span class="read other">heard as something else</span>, <del class="read">left out</del>
          </p>
          <p class="words">
            {found.words.map((word, i) => (
              <Word key={i} word={word} onPlay={play} />
            ))}
          </p>
          <p class="hint">{found.limits}</p>
          <audio
            ref={audio}
            preload="none"
            src={at(session, "/audio")}
            onTimeUpdate={({ currentTarget }) => {
              if (currentTarget.currentTime < until.current) return;
              until.current = Infinity;
              currentTarget.pause();
            }}
          />
        </>
      )}
    </section>
  );
}

function Percent({ share: { value, low, high } }: { share: Share }) {
  return (
    <>
      {printed(100 * value, 0)} %
      {low !== null && high !== null && (
        <span class="interval">
          {" "}
          ({printed(100 * low, 0)} to {printed(100 * high, 0)})
        </span>
      )}
    </>
  );
}

function Word({ word, onPlay }: { word: Said; onPlay: (startS: number, endS: number) => void }) {
  const { text, heard, start_s, end_s, level } = word;
  const marked = level !== null && level !== "clear";
  const label = marked ? <span class="quiet"> ({heard ? `heard as ${heard}` : LEVELS[level]})</span> : null;
  if (start_s === null || end_s === null) {
    return (
      <>
        {level === "left_out" ? <del class="read">{text}</del> : text}
        {label}{" "}
      </>
    );
  }
  return (
    <>
      <button type="button" class={`read ${level ?? ""}`} title={heard ? `heard as ${heard}` : undefined} onClick={() => onPlay(start_s, end_s)}>
        {text}
        {label}
      </button>{" "}
    </>
  );
}
