/** Scores from 0 to 100 with their intervals: each opens what it is made of, and the moments to listen to. */

import { useRef } from "preact/hooks";
import { at, type Given, type Score, type Scores as Found } from "./api";
import { clock, printed } from "./format";
import { measureName } from "./names";

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

function Number({ given: { value, low, high, refusal } }: { given: Given }) {
  if (value === null || low === null || high === null) return <span class="refusal">No score: {refusal}.</span>;
  return (
    <>
      <svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
        <path class="scale" d="M0 4H100" />
        <path class="span" d={`M${low} 4H${Math.max(high, low + 1)}`} />
        <path class="mark" d={`M${value} -1V9`} />
      </svg>
      <span class="score">
        {Math.round(value)}
        <span class="interval">
          {Math.round(low)} to {Math.round(high)}
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
