/** What a drill begins with: the speaker's own words and moments. */

import { useEffect, useRef, useState } from "preact/hooks";
import { at } from "../api";
import type { Clip, Drill } from "./api";

const LATE_S = 1.2; // after an um, that a press still counts for it
const MOST_ASKED = 8; // words to tell apart

export function Beginning({ drill, onHeard }: { drill: Drill; onHeard: (right: number, of: number) => void }) {
  const { material, source } = drill;
  const wanting = material === null && (drill.watch === "fillers" || drill.watch === "lights");
  return (
    <>
      {wanting && <p class="hint">There are no moments of your own for this yet: they come from a talk that you upload or practise. You can begin without.</p>}
      {material?.clips && source && <Clips clips={material.clips} session={source} ask={drill.watch === "fillers"} />}
      {material?.excerpt && <Excerpt text={material.excerpt} />}
      {material?.pairs && drill.voices > 0 && <ByEar pairs={material.pairs} voices={drill.voices} onHeard={onHeard} />}
      {drill.speaks === "pairs" && drill.voices === 0 && <p class="hint">No voice is installed on this server, so the listening part is left out.</p>}
      {material?.words && (
        <p class="hint">
          Words of yours that could not be made out and hold {material.title}: {material.words.join(", ")}.
        </p>
      )}
    </>
  );
}

function Excerpt({ text }: { text: string }) {
  return (
    <figure class="excerpt">
      <figcaption>Your own words</figcaption>
      <p class="script">
        {text.split(/\s+/).map((word, index) => (
          <span key={index} class={word === "/" ? "stroke" : word.startsWith("*") ? "target" : ""}>
            {word.replaceAll("*", "")}{" "}
          </span>
        ))}
      </p>
    </figure>
  );
}

/** Own moments to listen to; where ums are asked for, a press at every one is counted. */
function Clips({ clips, session, ask }: { clips: Clip[]; session: string; ask: boolean }) {
  const audio = useRef<HTMLAudioElement>(null);
  const [playing, setPlaying] = useState<number | null>(null);
  const [presses, setPresses] = useState<number[]>([]);
  const ums = clips.flatMap((clip) => clip.ums);
  const found = ums.filter(([startS, endS]) => presses.some((press) => press >= startS && press <= endS + LATE_S)).length;

  function play(index: number) {
    const clip = clips[index];
    if (!audio.current || !clip) return;
    audio.current.currentTime = clip.start_s;
    setPlaying(index);
    void audio.current.play();
  }

  return (
    <figure class="excerpt">
      <figcaption>{ask ? "Moments of your own: press at every um" : "Your flattest stretch"}</figcaption>
      <p class="actions left">
        {clips.map((clip, index) => (
          <button key={clip.start_s} type="button" class="plain" aria-pressed={playing === index} onClick={() => play(index)}>
            {clips.length > 1 ? `Moment ${index + 1}` : "Listen"}
          </button>
        ))}
        {ask && (
          <button type="button" class="main" disabled={playing === null} onClick={() => audio.current && setPresses([...presses, audio.current.currentTime])}>
            Um!
          </button>
        )}
      </p>
      {ask && presses.length > 0 && (
        <p class="hint" role="status">
          You marked {found} of {ums.length}.
        </p>
      )}
      <audio
        ref={audio}
        preload="none"
        src={at(session, "/audio")}
        onTimeUpdate={({ currentTarget }) => {
          const clip = playing === null ? null : clips[playing];
          if (!clip || currentTarget.currentTime < clip.end_s) return;
          currentTarget.pause();
          setPlaying(null);
        }}
      />
    </figure>
  );
}

/** Words of pairs in different voices, to be told apart. */
function ByEar({ pairs, voices, onHeard }: { pairs: [string, string][]; voices: number; onHeard: (right: number, of: number) => void }) {
  const [asked] = useState(() => Array.from({ length: MOST_ASKED }, (_, index) => ({ pair: pairs[index % pairs.length] ?? ["", ""], which: Math.random() < 0.5 ? 0 : 1, voice: index % voices })));
  const [answers, setAnswers] = useState<boolean[]>([]);
  const audio = useRef<HTMLAudioElement>(null);
  const now = asked[answers.length];
  const right = answers.filter(Boolean).length;
  useEffect(() => {
    if (answers.length) onHeard(right, answers.length);
  }, [answers.length]);
  const last = asked[answers.length - 1];
  return (
    <figure class="excerpt">
      <figcaption>Which one do you hear?</figcaption>
      {now && (
        <p class="actions left">
          <button type="button" class="plain" onClick={() => void audio.current?.play()}>
            Play
          </button>
          {now.pair.map((word, index) => (
            <button key={word} type="button" class="plain" onClick={() => setAnswers([...answers, index === now.which])}>
              {word}
            </button>
          ))}
        </p>
      )}
      {now && <audio ref={audio} preload="auto" src={`/v1/drills/minimal-pairs/words/${now.pair[now.which] ?? ""}?voice=${now.voice}`} />}
      <p class="hint" role="status">
        {answers.length > 0 && `${answers.at(-1) ? "Right" : `It was ${last?.pair[last.which] ?? ""}`}. ${right} of ${answers.length}.`}
      </p>
    </figure>
  );
}
