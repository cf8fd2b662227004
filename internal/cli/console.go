package cli

import (
	"io"
	"os"

	"github.com/mattn/go-isatty"
)

// Console is where a command reads and writes.
type Console struct {
	In       io.Reader
	Out, Err io.Writer
	// Whether a person is at the other end.
	InIsTerminal, OutIsTerminal, ErrIsTerminal bool
}

// NewConsole returns the console of this process.
func NewConsole() *Console {
	isTerminal := func(f *os.File) bool { return isatty.IsTerminal(f.Fd()) || isatty.IsCygwinTerminal(f.Fd()) }
	return &Console{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		InIsTerminal: isTerminal(os.Stdin), OutIsTerminal: isTerminal(os.Stdout), ErrIsTerminal: isTerminal(os.Stderr),
	}
}

// hasColor reports whether tables are colored: see https://no-color.org.
func (c *Console) hasColor() bool {
	return c.OutIsTerminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
