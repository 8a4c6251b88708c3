package faults

import (
	"encoding/binary"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// install puts a seccomp filter into a stopped process that makes it stop at the given system calls and at no other. The process
// stands at the first instruction of a program; it is made to do one system call there, and stands there again afterwards.
// Stopping at every call instead would take ten times as long: a Go program mostly calls futex.
func install(pid int, calls []uint64) error {
	var saved unix.PtraceRegs
	if err := unix.PtraceGetRegs(pid, &saved); err != nil {
		return err
	}
	entry := uintptr(saved.Rip)
	code := make([]byte, 8)
	if _, err := unix.PtracePeekText(pid, entry, code); err != nil {
		return err
	}
	program := bpf(calls)
	at := (saved.Rsp - 8192) &^ 15 // below the stack, where nothing is yet
	fprog := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, uint64(len(program)/8)), at+16)
	if _, err := unix.PtracePokeData(pid, uintptr(at), append(fprog, program...)); err != nil {
		return err
	}
	if _, err := unix.PtracePokeText(pid, entry, append([]byte{0x0f, 0x05}, code[2:]...)); err != nil { // syscall
		return err
	}
	regs := saved
	regs.Rax, regs.Rdi, regs.Rsi, regs.Rdx = unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, at
	if err := unix.PtraceSetRegs(pid, &regs); err != nil {
		return err
	}
	if err := step(pid); err != nil {
		return err
	}
	if err := unix.PtraceGetRegs(pid, &regs); err != nil {
		return err
	}
	if regs.Rax != 0 {
		return fmt.Errorf("seccomp: %w; the tests need root with CAP_SYS_ADMIN", unix.Errno(-int64(regs.Rax)))
	}
	if _, err := unix.PtracePokeText(pid, entry, code); err != nil {
		return err
	}
	return unix.PtraceSetRegs(pid, &saved)
}

// step lets the process do one instruction.
func step(pid int) error {
	if err := unix.PtraceSingleStep(pid); err != nil {
		return err
	}
	var status unix.WaitStatus
	_, err := unix.Wait4(pid, &status, unix.WALL, nil)
	if err == nil && (!status.Stopped() || status.StopSignal() != unix.SIGTRAP) {
		err = fmt.Errorf("a single step ended with status %#x", uint32(status))
	}
	return err
}

// bpf is the filter: load the number of the call, compare it with each in turn, let through or stop. Comparisons jump at most 255
// instructions far, which is more than there are calls.
func bpf(calls []uint64) []byte {
	slices.Sort(calls)
	var out []byte
	instruction := func(code uint16, jt, jf uint8, k uint32) {
		out = binary.LittleEndian.AppendUint16(out, code)
		out = append(out, jt, jf)
		out = binary.LittleEndian.AppendUint32(out, k)
	}
	instruction(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, 0, 0, 0) // seccomp_data.nr
	for i, c := range calls {
		instruction(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, uint8(len(calls)-i), 0, uint32(c))
	}
	instruction(unix.BPF_RET|unix.BPF_K, 0, 0, unix.SECCOMP_RET_ALLOW)
	instruction(unix.BPF_RET|unix.BPF_K, 0, 0, unix.SECCOMP_RET_TRACE)
	return out
}
