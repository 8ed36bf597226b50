/** The one thing to watch in a drill, while it is done. */

import { useRef, useState } from "preact/hooks";
import { FAST_MS, SLOW_MS, usePaced } from "../live/paced";
import type { LiveStore, Word } from "../live/store";
import { printed } from "../format";
import type { Attempt } from "./api";
import { placed, plain, said, tokens, type Token } from "./reading";

const BREATH_S = 0.3; // as speech/drills.py

interface Props {
  store: LiveStore;
  attempt: Attempt;
}

export function Watched({ store, attempt, onPlay }: Props & { onPlay: (atS: number) => void }) {
  if (attempt.watch === "fillers") return <Fillers store={store} attempt={attempt} />;
  if (attempt.watch === "marks") return <Marks store={store} attempt={attempt} />;
  if (attempt.watch === "clock") return <PhraseClock store={store} attempt={attempt} />;
  if (attempt.watch === "lights") return <Lights store={store} attempt={attempt} />;
  if (attempt.watch === "phrase") return <Phrase store={store} attempt={attempt} onPlay={onPlay} />;
  return <Targets store={store} attempt={attempt} />;
}

function Fillers({ store, attempt }: Props) {
  usePaced(store, FAST_MS);
  const ums = said(store).filter(({ kind }) => kind === "filler").length;
  return (
    <div class="watch">
      <p class="call">{attempt.text}</p>
      <p class="counter">
        {ums} <span class="unit">{ums === 1 ? "um" : "ums"}</span>
      </p>
    </div>
  );
}

function Marks({ store, attempt }: Props) {
  usePaced(store, FAST_MS);
  const text = tokens(attempt.text);
  const words = placed(text, said(store));
  return (
    <p class="watch script">
      {text.map(({ text: word, breath }, index) => {
        const [here, next] = [words[index], words.slice(index + 1).find(Boolean)];
        const paused = here && next ? next.start_s - here.end_s >= BREATH_S : null;
        return (
          <>
            <span class={here ? "heard" : ""}>{word}</span>
            {breath && <i class={`stroke ${paused === null ? "" : paused ? "yes" : "no"}`}> / </i>}{" "}
          </>
        );
      })}
    </p>
  );
}

/** Lights up one phrase after the other, at the target pace, from the first word on. */
function PhraseClock({ store, attempt }: Props) {
  usePaced(store, FAST_MS);
  const phrases = attempt.text.split(" / ");
  const wordS = 60 / (attempt.pace_wpm ?? 150);
  const beganS = said(store)[0]?.start_s ?? store.tail.find((item) => item.kind === "word")?.start_s ?? null;
  const sinceS = beganS === null ? 0 : store.tMs / 1000 - beganS;
  let endS = 0;
  const ends = phrases.map((phrase) => (endS += phrase.split(/\s+/).length * wordS));
  const now = ends.findIndex((end) => sinceS < end);
  return (
    <div class="watch">
      <p class="hint">
        {attempt.pace_wpm} words a minute. {beganS === null ? "The clock starts with your first word." : ""}
      </p>
      <p class="script">
        {phrases.map((phrase, index) => (
          <span key={index} class={now < 0 || index < now ? "heard" : index === now ? "now" : ""}>
            {phrase}{" "}
          </span>
        ))}
      </p>
    </div>
  );
}

function Lights({ store, attempt }: Props) {
  usePaced(store, SLOW_MS);
  const movement = store.last10?.f0_sd_st ?? null;
  const green = movement !== null && attempt.light_st !== null && movement >= attempt.light_st;
  return (
    <div class="watch">
      <p class={`light ${movement === null ? "" : green ? "yes" : "no"}`}>
        <i aria-hidden="true" />
        {movement === null ? "Speak" : green ? "Moving" : "Flatter than the goal"}
        <span class="hint">{movement === null ? "" : `${printed(movement, 1)} semitones, goal ${printed(attempt.light_st ?? 0, 1)}`}</span>
      </p>
      <p class="script">{attempt.text.replaceAll(" / ", " ")}</p>
    </div>
  );
}

function Phrase({ store, attempt, onPlay }: Props & { onPlay: (atS: number) => void }) {
  usePaced(store, FAST_MS);
  const audio = useRef<HTMLAudioElement>(null);
  const [playing, setPlaying] = useState(false);
  const heard = new Set(said(store).map(({ text }) => plain(text)));
  const { phrase } = attempt;

  function play() {
    if (!audio.current || !phrase) return;
    audio.current.currentTime = phrase.start_s;
    setPlaying(true);
    onPlay(store.tMs / 1000);
    void audio.current.play();
  }

  return (
    <div class="watch">
      <p class="call phrase">
        {attempt.text.split(/\s+/).map((word, index) => (
          <span key={index} class={heard.has(plain(word)) ? "heard" : ""}>
            {word}{" "}
          </span>
        ))}
      </p>
      <p class="actions">
        <button type="button" class="plain" aria-pressed={playing} onClick={play}>
          Play the phrase
        </button>
      </p>
      <audio
        ref={audio}
        preload="auto"
        src={phrase?.url}
        onEnded={() => setPlaying(false)}
        onTimeUpdate={({ currentTarget }) => {
          if (phrase?.end_s == null || currentTarget.currentTime < phrase.end_s) return;
          currentTarget.pause();
          setPlaying(false);
        }}
      />
    </div>
  );
}

function Targets({ store, attempt }: Props) {
  usePaced(store, FAST_MS);
  const known = useRef(new Map<number, boolean>()); // what was heard some time ago has no pitch any more
  const text = tokens(attempt.text);
  const words = placed(text, said(store));
  const pairs = attempt.rules.some(({ measure }) => measure === "targets_understood_share");
  return (
    <p class="watch script">
      {text.map((token, index) => {
        const state = !token.marked ? null : pairs ? (words[index] ? true : passed(words, index) ? false : null) : stoodOut(store, text, words, index, known.current);
        return (
          <>
            <span class={token.marked ? `target ${state === null ? "" : state ? "yes" : "no"}` : words[index] ? "heard" : ""}>{token.text}</span>{" "}
          </>
        );
      })}
    </p>
  );
}

const passed = (words: readonly (Word | undefined)[], index: number) => words.slice(index + 1).some(Boolean);

/** Whether the marked word was the highest of its sentence; null before that is over. The server looks at loudness and length as well. */
function stoodOut(store: LiveStore, text: readonly Token[], words: readonly (Word | undefined)[], marked: number, known: Map<number, boolean>): boolean | null {
  const before = known.get(marked);
  if (before !== undefined) return before;
  const sentence = text[marked]?.sentence;
  const within = words.flatMap((word, index) => (word && text[index]?.sentence === sentence ? [{ word, index }] : []));
  const over = words.some((word, index) => word && (text[index]?.sentence ?? 0) > (sentence ?? 0)) || words[text.findLastIndex((token) => token.sentence === sentence)];
  if (!over || !words[marked]) return null;
  const heights = within.map(({ word, index }) => ({ index, hz: Math.max(0, ...store.pitch.filter(({ atS, hz }) => hz !== null && atS >= word.start_s && atS <= word.end_s).map(({ hz }) => hz ?? 0)) }));
  const highest = heights.reduce((one, other) => (other.hz > one.hz ? other : one), { index: -1, hz: 0 });
  known.set(marked, highest.index === marked);
  return highest.index === marked;
}
