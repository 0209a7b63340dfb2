"use client";

import { useEffect, useState } from "react";
import { loadModel } from "tallow";
import { answer } from "../answer.js";

export function Answer() {
  const [text, setText] = useState("");
  useEffect(() => void answer(loadModel).then((answer) => setText(JSON.stringify(answer))), []);
  return <output>{text}</output>;
}
