;; Both forms of relaxed SIMD's 8-bit dot product, over four vectors of nibbles a turn, as the kernels use them; and one
;; of 32 bits for itself, of four equal pairs.
;; ../src/relaxed-dot.ts holds it assembled; its test assembles this file and compares.
(module
  (memory 1)
  (func (export "i16x8") (param $turns i32) (result i32)
    (local $a v128) (local $s0 v128) (local $s1 v128) (local $s2 v128) (local $s3 v128)
    (loop $turn
      (local.set $a (v128.load32_splat (local.get $turns)))
      (local.set $s0 (i16x8.add (local.get $s0) (i16x8.relaxed_dot_i8x16_i7x16_s (local.get $a) (v128.load offset=1024 (i32.const 0)))))
      (local.set $s1 (i16x8.add (local.get $s1) (i16x8.relaxed_dot_i8x16_i7x16_s (local.get $a) (v128.load offset=1040 (i32.const 0)))))
      (local.set $s2 (i16x8.add (local.get $s2) (i16x8.relaxed_dot_i8x16_i7x16_s (local.get $a) (v128.load offset=1056 (i32.const 0)))))
      (local.set $s3 (i16x8.add (local.get $s3) (i16x8.relaxed_dot_i8x16_i7x16_s (local.get $a) (v128.load offset=1072 (i32.const 0)))))
      (br_if $turn (local.tee $turns (i32.sub (local.get $turns) (i32.const 1)))))
    (i32x4.extract_lane 0 (v128.or (v128.or (local.get $s0) (local.get $s1)) (v128.or (local.get $s2) (local.get $s3)))))
  (func (export "i32x4") (param $turns i32) (result i32)
    (local $a v128) (local $s0 v128) (local $s1 v128) (local $s2 v128) (local $s3 v128)
    (loop $turn
      (local.set $a (v128.load32_splat (local.get $turns)))
      (local.set $s0 (i32x4.relaxed_dot_i8x16_i7x16_add_s (local.get $a) (v128.load offset=1024 (i32.const 0)) (local.get $s0)))
      (local.set $s1 (i32x4.relaxed_dot_i8x16_i7x16_add_s (local.get $a) (v128.load offset=1040 (i32.const 0)) (local.get $s1)))
      (local.set $s2 (i32x4.relaxed_dot_i8x16_i7x16_add_s (local.get $a) (v128.load offset=1056 (i32.const 0)) (local.get $s2)))
      (local.set $s3 (i32x4.relaxed_dot_i8x16_i7x16_add_s (local.get $a) (v128.load offset=1072 (i32.const 0)) (local.get $s3)))
      (br_if $turn (local.tee $turns (i32.sub (local.get $turns) (i32.const 1)))))
    (i32x4.extract_lane 0 (v128.or (v128.or (local.get $s0) (local.get $s1)) (v128.or (local.get $s2) (local.get $s3)))))
  (func (export "dot") (param $a i32) (param $b i32) (result i32)
    (i32x4.extract_lane 0
      (i32x4.relaxed_dot_i8x16_i7x16_add_s (i8x16.splat (local.get $a)) (i8x16.splat (local.get $b)) (v128.const i32x4 0 0 0 0)))))
