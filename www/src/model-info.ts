/** What can be told of a loaded model and of what runs it, as names and values. */
import { capabilities, type MetadataValue, type ModelInfo } from "tallow";
import { formatBytes, formatDuration, formatInteger, formatParameters } from "./format.js";
import { isKept } from "./offline.js";
import type { Source } from "./state.js";

export type Row = [name: string, value: string];

export function describeModel(info: ModelInfo, source: Source): Row[] {
  const rows: Row[] = [
    ["Name", info.name],
    ["Architecture", info.architecture],
    ["Parameters", `${formatParameters(info.parameters)} (${formatInteger(info.parameters)})`],
    ["Quantization", describeQuantization(info)],
    ["Context", describeContext(info)],
    ["Licence", info.license ?? "not stated in the file"],
  ];
  if (info.baseModel) rows.push(["Made from", info.baseModel]);
  rows.push(["Loaded from", source instanceof URL ? source.href : `${source.name} on this device`]);
  return rows;
}

export function describeRuntime(info: ModelInfo, loadMs: number): Row[] {
  const { crossOriginIsolated, hardwareConcurrency } = capabilities();
  return [
    ["Memory", formatBytes(info.memory)],
    ["Loaded in", formatDuration(loadMs)],
    ["WebAssembly", info.module === "relaxed" ? "relaxed SIMD" : "128-bit SIMD"],
    ["Isolated", crossOriginIsolated ? "yes, cross-origin isolated" : "no: the page may not share memory"],
    ["Processors", formatInteger(hardwareConcurrency)],
    ["Offline", isKept() ? "yes, this page is kept on this device" : "no: this page came from the network"],
  ];
}

export function describeMetadata(info: ModelInfo): Row[] {
  return Object.entries(info.metadata).map(([key, value]) => [key, describeValue(value)]);
}

/** The tensor type that holds the most weights: the short name of a mix. */
export function mainQuantization(info: ModelInfo): string {
  return byShare(info)[0]?.[0] ?? "";
}

/** `Q4_1 93%, Q8_0 7%, F32 <1%`. */
function describeQuantization(info: ModelInfo): string {
  const all = byShare(info).reduce((sum, [, weights]) => sum + weights, 0);
  return byShare(info)
    .map(([type, weights]) => {
      const percent = Math.round((100 * weights) / all);
      return percent >= 1 ? `${type} ${percent}%` : `${type} <1%`;
    })
    .join(", ");
}

function describeContext({ contextLength, trainedContextLength }: ModelInfo): string {
  const used = `${formatInteger(contextLength)} tokens`;
  return contextLength === trainedContextLength
    ? used
    : `${used} of the ${formatInteger(trainedContextLength)} it was trained on`;
}

function byShare(info: ModelInfo): [string, number][] {
  return Object.entries(info.quantization).sort(([, a], [, b]) => b - a);
}

function describeValue(value: MetadataValue): string {
  if (Array.isArray(value)) return `[${value.map(describeValue).join(", ")}]`;
  if (typeof value === "object") return `${formatInteger(value.length)} × ${value.type}`;
  return String(value);
}
