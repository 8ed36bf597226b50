/** Scores from 0 to 100 with their intervals: each opens what it is made of, and the moments to listen to. */

import { useRef } from "preact/hooks";
import { at, type Given, type Rating, type Score, type Scores as Found, type Speaker } from "./api";
import { clock, printed } from "./format";
import { measureName } from "./names";
import { SpeakerField } from "./style";

const LEAD_S = 0.5; // before a moment

export function Scores({ session, found }: { session: string; found: Found }) {
  const audio = useRef<HTMLAudioElement>(null);
  const until = useRef(Infinity);

  function play(startS: number, endS: number) {
    if (!audio.current) return;
    audio.current.currentTime = Math.max(0, startS - LEAD_S);
    until.current = endS + LEAD_S;
    void audio.current.play();
  }

  return (
    <>
      <ul class="scores">
        <li class="overall">
          <div class="row">
            <span class="name">Overall</span>
            <Number given={found.overall} />
          </div>
        </li>
        {found.scores.map((score) => (
          <li key={score.dimension}>
            {score.made_of.length === 0 ? (
              <div class="row">
                <span class="name">{score.title}</span>
                <Number given={score} />
              </div>
            ) : (
              <details>
                <summary class="row">
                  <span class="name">{score.title}</span>
                  <Number given={score} />
                </summary>
                <Inside score={score} onPlay={play} />
              </details>
            )}
          </li>
        ))}
      </ul>
      <audio
        ref={audio}
        controls
        preload="none"
        src={at(session, "/audio")}
        aria-label="The recording"
        onTimeUpdate={({ currentTarget }) => {
          if (currentTarget.currentTime < until.current) return;
          until.current = Infinity;
          currentTarget.pause();
        }}
      />
    </>
  );
}

interface RatingsProps {
  ratings: Rating[];
  speaker: Speaker;
  acting: boolean;
  onSpeaker: (speaker: Speaker) => void;
}

const RATED = {
  fluency: { title: "Fluency", about: "pace and pauses" },
  prosody: { title: "Prosody", about: "stress, rhythm, tune" },
};

/** What trained listeners would probably say. */
export function Ratings({ ratings, speaker, acting, onSpeaker }: RatingsProps) {
  return (
    <section class="ratings" aria-labelledby="ratings-title">
      <h3 id="ratings-title">What trained listeners would probably say</h3>
      <SpeakerField speaker={speaker} disabled={acting} onChange={onSpeaker} />
      <ul class="scores">
        {ratings.map((rating) => (
          <li key={rating.what}>
            <div class="row">
              <span class="name">
                {RATED[rating.what].title}
                <span class="hint">{RATED[rating.what].about}</span>
              </span>
              <Number given={rating} most={rating.scale[1]} />
            </div>
          </li>
        ))}
      </ul>
      <p class="hint">
        From 0 to 10, with the 95 % interval. Checked against experts for English sentences read aloud by speakers of Mandarin, and for nothing else. For other speech take it as a hint.
      </p>
    </section>
  );
}

/** On a scale from 0 to `most`. */
function Number({ given: { value, low, high, refusal }, most = 100 }: { given: Given; most?: number }) {
  if (value === null || low === null || high === null) return <span class="refusal">{most === 100 ? "No score" : "No rating"}: {refusal}.</span>;
  const [from, to, mark] = [low, high, value].map((one) => (100 * one) / most) as [number, number, number];
  const digits = most === 100 ? 0 : 1;
  return (
    <>
      <svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
        <path class="scale" d="M0 4H100" />
        <path class="span" d={`M${from} 4H${Math.max(to, from + 1)}`} />
        <path class="mark" d={`M${mark} -1V9`} />
      </svg>
      <span class="score">
        {printed(value, digits)}
        <span class="interval">
          {printed(low, digits)} to {printed(high, digits)}
        </span>
      </span>
    </>
  );
}

function Inside({ score, onPlay }: { score: Score; onPlay: (startS: number, endS: number) => void }) {
  return (
    <div class="inside">
      <table>
        <tbody>
          {score.made_of.map((share) => {
            const { label, print } = measureName(share.name);
            return (
              <tr key={share.name}>
                <th scope="row">{label}</th>
                <td>{print(share.value)}</td>
                <td>
                  {printed(share.score, 0)} of 100{score.made_of.length > 1 && `, counts ${printed(100 * share.weight, 0)} %`}
                </td>
                <td class="source">{share.source}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {score.evidence.length > 0 && (
        <p class="moments">
          Listen:{" "}
          {score.evidence.map(({ measure, start_s, end_s }) => (
            <button key={`${measure} ${start_s}`} type="button" class="plain" title={measureName(measure).label} onClick={() => onPlay(start_s, end_s)}>
              {clock(start_s)}
              <span class="quiet">, {measureName(measure).label}</span>
            </button>
          ))}
        </p>
      )}
    </div>
  );
}
