/** Runs small quantized Llama models inside a web page: GGUF in, tokens out. */

export { capabilities } from "./capabilities.js";
export type { Capabilities, WasmModuleName } from "./capabilities.js";
export type { RelaxedDot } from "./relaxed-dot.js";
export type { ChatCompletions, Completions, RequestOptions } from "./completions.js";
export { TALLOW_ERROR_CODES, TallowError } from "./errors.js";
export type { TallowErrorCode } from "./errors.js";
export type { MetadataValue, ModelInfo } from "./info.js";
export { loadModel } from "./model.js";
export type {
  ApplyChatTemplateOptions,
  LoadModelOptions,
  LoadProgress,
  Model,
  TokenizeOptions,
} from "./model.js";
export type * from "./openai.js";
export type { ModelSource } from "./source.js";
