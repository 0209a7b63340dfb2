/** What a loaded model says about itself. */

import type { WasmModuleName } from "./capabilities.js";
import type { TallowErrorCode } from "./errors.js";

/**
 * A value of the file's metadata. An array of more than 64 elements, with those of arrays within it, is given by its type and
 * length alone.
 */
export type MetadataValue =
  | string
  | number
  | boolean
  | MetadataValue[]
  | {
      /** The type of its elements. */
      type: string;
      /** How many there are. */
      length: number;
    };

/** What a model's files say about it. */
export interface ModelDescription {
  /** `general.name`, else the file's name, else the architecture. */
  name: string;
  /** `general.architecture` */
  architecture: string;
  /** How many weights the model has. */
  parameters: number;
  /** How many of the weights each tensor type holds, for example `{ Q4_1: 134479872, F32: 35136 }`. */
  quantization: Record<string, number>;
  /** The context that the model was trained on. */
  trainedContextLength: number;
  /** `general.license` */
  license: string | null;
  /** `general.base_model.0.name` */
  baseModel: string | null;
  /** Every key of the file. Numbers that JSON cannot hold exactly are strings. */
  metadata: Record<string, MetadataValue>;
}

/** How a context holds keys and values: in 16, 32 or 8.5 bits each. */
export type KvCacheType = "f16" | "f32" | "q8_0";

/** A loaded model, as `model.info`. */
export interface ModelInfo extends ModelDescription {
  /** The SHA-256 of each of its files, in lower-case hexadecimal: what the model is, wherever it came from. */
  sha256: readonly string[];
  /** The tokens that prompt and answer may have together. */
  contextLength: number;
  /** How a context holds keys and values. */
  kvCacheType: KvCacheType;
  /** Bytes of memory that the engine held once the model was loaded. */
  memory: number;
  /** The wasm module that runs the model. */
  module: WasmModuleName;
  /** The threads that compute, each in a worker of its own. */
  threads: number;
}

/** Bytes of memory that a model needs. */
export interface MemoryNeed {
  /** Its weights, as they lie in memory. */
  weights: number;
  /** The KV cache of a context that is full; it grows to that on demand. */
  kvCache: number;
  /** The tokenizer, what a step works with and the program itself; an estimate. */
  rest: number;
}

/** A model as its headers tell, from {@link inspect}. */
export interface Inspection extends ModelDescription {
  /** Bytes of its files. */
  fileBytes: number;
  /** The context that `memory` is for; `null` where the model has none of that length. */
  contextLength: number | null;
  /** What it would need; `null` where the architecture is not known. */
  memory: MemoryNeed | null;
  /** What `loadModel` would reject with, here and with this context. */
  problem: {
    /** What the caller can act on. */
    code: TallowErrorCode;
    /** Its words. */
    message: string;
  } | null;
}
