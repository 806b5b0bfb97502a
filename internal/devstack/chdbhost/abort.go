//go:build linux && amd64

package main

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"syscall"
	"unsafe"

	"github.com/ebitengine/purego"
)

// outliveRefusals has the library call onAbort where it would call abort.
//
// ClickHouse's server sets a handler for exceptions that end a connection of the native protocol: a wrong password, an
// unknown database. The library opens the same port without that handler, and what is set otherwise ends the process:
// one refused client would take the server from all others for good.
func outliveRefusals(library string) error {
	slots, err := importSlots(library, "abort")
	if err != nil {
		return err
	}
	base, err := loadAddress(library)
	if err != nil {
		return err
	}
	handler := purego.NewCallback(onAbort)
	page := uintptr(os.Getpagesize())
	for _, slot := range slots {
		address := base + slot
		start := address &^ (page - 1)
		// The loader has made the table read-only after filling it.
		if _, _, errno := syscall.Syscall(syscall.SYS_MPROTECT, start, page, syscall.PROT_READ|syscall.PROT_WRITE); errno != 0 {
			return fmt.Errorf("making the import table writable: %w", errno)
		}
		// Of address only the number is ours: it points into the library, outside of what Go moves or frees.
		**(**uintptr)(unsafe.Pointer(&address)) = handler
	}
	return nil
}

// onAbort starts the server anew in this same process if a client's thread aborts, and ends it in all other threads,
// where abort means what it says. The client has had its answer by then. To the others it is a restart of a tenth of a
// second: letting the server live on was tried, and fails because the thread that aborts holds a lock that all need.
func onAbort() {
	name, err := os.ReadFile("/proc/thread-self/comm")
	fmt.Fprintf(os.Stderr, "chdbhost: abort in thread %s", name)
	if err == nil && strings.HasPrefix(string(name), "TCP") {
		fmt.Fprintf(os.Stderr, "chdbhost: starting anew: %v\n", startAnew())
	}
	os.Exit(134) // 128 + SIGABRT
}

// startAnew replaces the process by a new one of itself. It returns only where that fails.
func startAnew() error {
	// The new process must not inherit the old one's listeners. CLOSE_RANGE_CLOEXEC of close_range(2) is 4.
	const closeRange, fromDescriptor, closeOnExec = 436, 3, 4
	if _, _, errno := syscall.Syscall(closeRange, fromDescriptor, uintptr(^uint32(0)), closeOnExec); errno != 0 {
		return fmt.Errorf("marking the open files: %w", errno)
	}
	if err := syscall.Dup3(lifeline, 0, 0); err != nil {
		return fmt.Errorf("passing on the lifeline: %w", err)
	}
	return syscall.Exec("/proc/self/exe", os.Args, os.Environ())
}

// importSlots returns where, from its load address, the library keeps the address of a function that it imports.
func importSlots(library, function string) ([]uintptr, error) {
	file, err := elf.Open(library)
	if err != nil {
		return nil, fmt.Errorf("reading the library: %w", err)
	}
	defer file.Close()
	symbols, err := file.DynamicSymbols()
	if err != nil {
		return nil, fmt.Errorf("reading the library's symbols: %w", err)
	}
	wanted := make(map[uint32]bool)
	for i, symbol := range symbols {
		if symbol.Name == function && symbol.Section == elf.SHN_UNDEF {
			wanted[uint32(i)+1] = true // DynamicSymbols leaves out the null symbol
		}
	}
	var slots []uintptr
	for _, section := range file.Sections {
		if section.Type != elf.SHT_RELA {
			continue
		}
		table, err := section.Data()
		if err != nil {
			return nil, fmt.Errorf("reading the library's %s: %w", section.Name, err)
		}
		const entry = 24 // Elf64_Rela: offset, info, addend
		for ; len(table) >= entry; table = table[entry:] {
			info := binary.LittleEndian.Uint64(table[8:])
			kind := elf.R_X86_64(elf.R_TYPE64(info))
			if wanted[elf.R_SYM64(info)] && (kind == elf.R_X86_64_JMP_SLOT || kind == elf.R_X86_64_GLOB_DAT) {
				slots = append(slots, uintptr(binary.LittleEndian.Uint64(table)))
			}
		}
	}
	if len(slots) == 0 {
		return nil, fmt.Errorf("reading the library: it does not import %s", function)
	}
	return slots, nil
}

// loadAddress returns where the library is in memory: where the first of its pages is.
func loadAddress(library string) (uintptr, error) {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return 0, fmt.Errorf("finding the library in memory: %w", err)
	}
	for line := range strings.Lines(string(maps)) {
		if strings.HasSuffix(strings.TrimSpace(line), library) {
			var start uintptr
			if _, err := fmt.Sscanf(line, "%x-", &start); err != nil {
				return 0, fmt.Errorf("finding the library in memory: %w", err)
			}
			return start, nil
		}
	}
	return 0, fmt.Errorf("finding the library in memory: it is not loaded")
}
