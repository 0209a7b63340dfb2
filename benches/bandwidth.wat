;; Reads memory as fast as one thread can: at two or four places in turns, since hardware reads ahead of each, but of how many
;; well is another matter on each machine.
(module
  (import "bench" "memory" (memory 1 65536 shared))

  ;; Loads four lines of 64 bytes, which begin at `$at0` to `$at3`, then those `$step` further, until `$at0` is at `$end`. The
  ;; result depends on every byte, so that no load is left out.
  (func (export "read")
    (param $at0 i32) (param $at1 i32) (param $at2 i32) (param $at3 i32) (param $step i32) (param $end i32)
    (result i32)
    (local $a v128)
    (local $b v128)
    (local $c v128)
    (local $d v128)
    (loop $turn
      (local.set $a (v128.or (local.get $a) (v128.load (local.get $at0))))
      (local.set $b (v128.or (local.get $b) (v128.load offset=16 (local.get $at0))))
      (local.set $c (v128.or (local.get $c) (v128.load offset=32 (local.get $at0))))
      (local.set $d (v128.or (local.get $d) (v128.load offset=48 (local.get $at0))))
      (local.set $at0 (i32.add (local.get $at0) (local.get $step)))
      (local.set $a (v128.or (local.get $a) (v128.load (local.get $at1))))
      (local.set $b (v128.or (local.get $b) (v128.load offset=16 (local.get $at1))))
      (local.set $c (v128.or (local.get $c) (v128.load offset=32 (local.get $at1))))
      (local.set $d (v128.or (local.get $d) (v128.load offset=48 (local.get $at1))))
      (local.set $at1 (i32.add (local.get $at1) (local.get $step)))
      (local.set $a (v128.or (local.get $a) (v128.load (local.get $at2))))
      (local.set $b (v128.or (local.get $b) (v128.load offset=16 (local.get $at2))))
      (local.set $c (v128.or (local.get $c) (v128.load offset=32 (local.get $at2))))
      (local.set $d (v128.or (local.get $d) (v128.load offset=48 (local.get $at2))))
      (local.set $at2 (i32.add (local.get $at2) (local.get $step)))
      (local.set $a (v128.or (local.get $a) (v128.load (local.get $at3))))
      (local.set $b (v128.or (local.get $b) (v128.load offset=16 (local.get $at3))))
      (local.set $c (v128.or (local.get $c) (v128.load offset=32 (local.get $at3))))
      (local.set $d (v128.or (local.get $d) (v128.load offset=48 (local.get $at3))))
      (local.set $at3 (i32.add (local.get $at3) (local.get $step)))
      (br_if $turn (i32.lt_u (local.get $at0) (local.get $end))))
    (v128.any_true
      (v128.or
        (v128.or (local.get $a) (local.get $b))
        (v128.or (local.get $c) (local.get $d))))))
