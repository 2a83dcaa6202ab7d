/* SPDX-License-Identifier: Apache-2.0
 *
 * Entry and exceptions of a Cortex-A9 without an operating system. The table of vectors is the first thing in memory and its
 * first entry is the program's entry point.
 */
    .syntax unified
    .arm

    .section .vectors, "ax"
    .global vectors
vectors:
    b start
    b undefined
    b supervisor_call
    b prefetch_abort
    b data_abort
    b .
    b interrupt
    b fast_interrupt

    .text
start:
    cpsid if, #0x13                 @ supervisor mode, interrupts masked
    ldr sp, =stack_top
    ldr r0, =bss_start
    ldr r1, =bss_end
    mov r2, #0
1:  cmp r0, r1
    strlo r2, [r0], #4
    blo 1b
    bl zynq_start
    bl main
    b zynq_stop

/* An exception ends the program, so nothing is saved. r0: which, r1: the instruction that caused it, `arm` or `thumb` bytes
 * before where the processor would go on. */
    .macro handler name, which, arm, thumb
\name:
    ldr sp, =fault_stack_top
    mov r0, #\which
    mrs r1, spsr
    tst r1, #0x20
    subeq r1, lr, #\arm
    subne r1, lr, #\thumb
    b zynq_fault
    .endm

    handler undefined, 0, 4, 2
    handler supervisor_call, 1, 4, 2
    handler prefetch_abort, 2, 4, 4
    handler data_abort, 3, 8, 8
    handler interrupt, 4, 4, 4
    handler fast_interrupt, 5, 4, 4
