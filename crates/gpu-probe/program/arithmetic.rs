//! A sum that every thread of a GPU computes, and its expected result: integers and floats, each step rounded as IEEE 754 requires, so
//! that every GPU and every CPU agree to the bit. Pure; trainit's own tests use it.

/// Number of different computations: thread N does that of thread N mod 64.
pub(super) const KINDS: usize = 64;
/// Iterations of the loop.
pub(super) const ROUNDS: u32 = 4096;
/// Threads in a block.
pub(super) const BLOCK: u32 = 256;
/// Number of blocks, enough to keep every multiprocessor of today's GPUs busy several times over.
pub(super) const GRID: u32 = 4096;

const FACTOR: f32 = f32::from_bits(0x3f80_0347);
const TERM: f32 = f32::from_bits(0x3dcc_cccd);

/// Computes the result of the program below for one thread.
pub(super) fn expected(thread: u32) -> u32 {
    let mut integer = thread % KINDS as u32;
    let mut float = integer as f32 + 1.0;
    for _ in 0..ROUNDS {
        integer = integer.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        float = float * FACTOR + TERM;
    }
    integer ^ float.to_bits()
}

macro_rules! program {
    ($head:literal) => {
        concat!(
            $head,
            ".address_size 64\n",
            ".visible .entry trainit_sum(.param .u64 sums, .param .u32 rounds)\n",
            "{\n",
            ".reg .pred %p;\n.reg .b32 %r<9>;\n.reg .f32 %f<2>;\n.reg .b64 %rd<5>;\n",
            "ld.param.u64 %rd1, [sums];\n",
            "ld.param.u32 %r1, [rounds];\n",
            "mov.u32 %r2, %ctaid.x;\n",
            "mov.u32 %r3, %ntid.x;\n",
            "mov.u32 %r4, %tid.x;\n",
            "mad.lo.u32 %r5, %r2, %r3, %r4;\n",
            "and.b32 %r6, %r5, 63;\n",
            "cvt.rn.f32.u32 %f1, %r6;\n",
            "add.rn.f32 %f1, %f1, 0f3F800000;\n",
            "again:\n",
            "mad.lo.u32 %r6, %r6, 1664525, 1013904223;\n",
            // .rn keeps the two steps separate: otherwise they could become one step that rounds once.
            "mul.rn.f32 %f1, %f1, 0f3F800347;\n",
            "add.rn.f32 %f1, %f1, 0f3DCCCCCD;\n",
            "sub.u32 %r1, %r1, 1;\n",
            "setp.ne.u32 %p, %r1, 0;\n",
            "@%p bra again;\n",
            "mov.b32 %r7, %f1;\n",
            "xor.b32 %r8, %r6, %r7;\n",
            "cvta.to.global.u64 %rd2, %rd1;\n",
            "mul.wide.u32 %rd3, %r5, 4;\n",
            "add.s64 %rd4, %rd2, %rd3;\n",
            "st.global.u32 [%rd4], %r8;\n",
            "ret;\n}\n\0"
        )
    };
}

/// The program in PTX, which every driver compiles for its GPU: one text for GPUs since Turing, and one for older GPUs.
pub(super) const PROGRAMS: [&str; 2] =
    [program!(".version 6.3\n.target sm_75\n"), program!(".version 5.0\n.target sm_50\n")];
