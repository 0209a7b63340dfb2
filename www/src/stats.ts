/** What is said under an answer: how long it is, how fast it came, and why it ended if that needs saying. */
import { formatDuration, formatTokenRate, formatTokens } from "./format.js";
import type { AnswerTurn } from "./state.js";

export interface Fact {
  name: "tokens" | "speed" | "first-token";
  text: string;
  /** The same as a sentence. */
  title: string;
}

export function factsOf({ stats }: AnswerTurn): Fact[] {
  const about = stats.counted ? "" : "≈ ";
  const facts: Fact[] = [];
  const rate = formatTokenRate(stats.tokens, stats.generateMs);
  if (rate) facts.push({ name: "speed", text: about + rate, title: "Speed at which the answer was written" });
  if (stats.firstTokenMs !== undefined) {
    const text = `${formatDuration(stats.firstTokenMs)} to first token`;
    facts.push({
      name: "first-token",
      text,
      title: "From sending the message to the first token of the answer",
    });
  }
  if (stats.tokens > 0) {
    const title = stats.counted ? "Length of the answer" : "Length of the answer, by the pieces that came";
    facts.push({ name: "tokens", text: about + formatTokens(stats.tokens), title });
  }
  return facts;
}

/** Why the answer is not whole, if it is not. */
export function endingOf(turn: AnswerTurn, contextLength: number): string | undefined {
  if (turn.problem?.code === "worker_lost") return "The model stopped working before the answer was whole.";
  if (turn.status === "stopped")
    return turn.text ? "You stopped this answer." : "You stopped this answer before it began.";
  if (turn.finishReason !== "length") return undefined;
  const full = (turn.stats.contextTokens ?? 0) >= contextLength;
  return full
    ? "The conversation now fills all that the model can remember, so the answer ends here."
    : "The answer was cut off at “Max tokens”. You can raise it in the settings.";
}

/** Whether `turn` has used up the model's context: nothing more can be said in this conversation. */
export function fillsContext(turn: AnswerTurn | undefined, contextLength: number): boolean {
  if (!turn) return false;
  if (turn.problem?.code === "context_length_exceeded") return true;
  return (turn.stats.contextTokens ?? 0) >= contextLength;
}
