package cli

import (
	"fmt"

	"github.com/alecthomas/kong"
	"github.com/willabides/kongplete"
)

// Complete answers a shell that asks what can follow on the command line, and ends the program
// then. Otherwise it does nothing.
func Complete(parser *kong.Kong) { kongplete.Complete(parser) }

type completion struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"The shell: ${enum}."`
}

// Help says how to use it.
func (completion) Help() string {
	return "Add one of these lines to the configuration of your shell:\n\n" +
		"  source <(punctual completion bash)    # in ~/.bashrc\n\n" +
		"  source <(punctual completion zsh)     # in ~/.zshrc, after compinit\n\n" +
		"  punctual completion fish | source     # in ~/.config/fish/config.fish\n\n"
}

// scripts make each shell ask the program, with the line in COMP_LINE.
var scripts = map[string]string{
	"bash": "complete -o default -C punctual punctual\n",
	"zsh":  "autoload -U +X bashcompinit && bashcompinit\ncomplete -o default -C punctual punctual\n",
	"fish": `function __punctual_complete
    set -lx COMP_LINE (commandline -cp)
    test -z (commandline -ct)
    and set COMP_LINE "$COMP_LINE "
    punctual
end
complete -f -c punctual -a "(__punctual_complete)"
`,
}

// Run prints the script of a shell.
func (c completion) Run(console *Console) error {
	_, err := fmt.Fprint(console.Out, scripts[c.Shell])
	return err
}
