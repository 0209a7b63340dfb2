/** Runs small quantized Llama models inside a web page: GGUF in, tokens out. */

export { cache } from "./cache.js";
export type { CachedModel, CacheOptions, CacheSource, ModelCache, StorageEstimate } from "./cache.js";
export { capabilities } from "./capabilities.js";
export type { Capabilities, RelaxedDot, WasmModuleName } from "./capabilities.js";
export type { ChatCompletions, Completions, RequestOptions } from "./completions.js";
export { TALLOW_ERROR_CODES, TallowError } from "./errors.js";
export type { TallowErrorCode } from "./errors.js";
export type { ModelFetch } from "./fetch.js";
export type {
  Inspection,
  KvCacheType,
  MemoryNeed,
  MetadataValue,
  ModelDescription,
  ModelInfo,
} from "./info.js";
export { inspect, loadModel } from "./model.js";
export type {
  ApplyChatTemplateOptions,
  InspectOptions,
  LoadModelOptions,
  LoadProgress,
  Model,
  TokenizeOptions,
} from "./model.js";
export type * from "./openai.js";
export type { Alternative, ScoreOptions, ScoreProgress, Scores } from "./score.js";
export type { Session } from "./session.js";
export type { FileHandle, FileSource, ModelSource } from "./source.js";
