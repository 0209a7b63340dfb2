;; Reads memory as fast as one thread can.
(module
  (import "bench" "memory" (memory 1 65536 shared))

  ;; Loads every byte from `$at` to `$end`, whose distance is a multiple of 128. The result depends on all of them, so
  ;; that no load is left out.
  (func (export "read") (param $at i32) (param $end i32) (result i32)
    (local $a v128)
    (local $b v128)
    (local $c v128)
    (local $d v128)
    (loop $turn
      (local.set $a (v128.or (local.get $a) (v128.load (local.get $at))))
      (local.set $b (v128.or (local.get $b) (v128.load offset=16 (local.get $at))))
      (local.set $c (v128.or (local.get $c) (v128.load offset=32 (local.get $at))))
      (local.set $d (v128.or (local.get $d) (v128.load offset=48 (local.get $at))))
      (local.set $a (v128.or (local.get $a) (v128.load offset=64 (local.get $at))))
      (local.set $b (v128.or (local.get $b) (v128.load offset=80 (local.get $at))))
      (local.set $c (v128.or (local.get $c) (v128.load offset=96 (local.get $at))))
      (local.set $d (v128.or (local.get $d) (v128.load offset=112 (local.get $at))))
      (br_if $turn
        (i32.lt_u
          (local.tee $at (i32.add (local.get $at) (i32.const 128)))
          (local.get $end))))
    (v128.any_true
      (v128.or
        (v128.or (local.get $a) (local.get $b))
        (v128.or (local.get $c) (local.get $d))))))
