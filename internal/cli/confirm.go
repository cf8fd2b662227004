package cli

import (
	"bufio"
	"errors"
	"fmt"
	"strings"
)

// confirm asks a person. Without one, the answer is in the flags, or nothing is done.
func (c *Console) confirm(question string) error {
	if !c.InIsTerminal {
		return usage("%s Nobody can be asked here: add --yes", question)
	}
	fmt.Fprintf(c.Err, "%s [y/N] ", question)
	reply, err := bufio.NewReader(c.In).ReadString('\n')
	if reply = strings.ToLower(strings.TrimSpace(reply)); err == nil && (reply == "y" || reply == "yes") {
		return nil
	}
	return errors.New("nothing was done")
}
