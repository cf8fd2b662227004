package cli

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"go.yaml.in/yaml/v3"
)

const defaultURL = "http://localhost:3000"

// config is the configuration file.
type config struct {
	// Current is the profile that is used if none is named.
	Current  string             `yaml:"current"`
	Profiles map[string]profile `yaml:"profiles"`
}

// profile is a service and who asks it.
type profile struct {
	URL string `yaml:"url"`
	Key string `yaml:"key"`
	// KeyFile is a file with the key, relative to the directory of the configuration file.
	KeyFile   string `yaml:"keyFile"`
	Namespace string `yaml:"namespace"`
}

// place is where requests go: what the flags, the environment and the profile come to.
type place struct{ url, key, namespace string }

// locate finds out where requests go. A flag is stronger than the environment, and that is stronger
// than the profile. A profile that a flag names is stronger than the environment, because whoever
// names it means it. The key of a profile is sent only to the service of that profile.
func (g *Globals) locate(c *Console) (place, error) {
	named := cmp.Or(g.Profile, os.Getenv("PUNCTUAL_PROFILE"))
	p, err := readProfile(c, named)
	if err != nil {
		return place{}, err
	}
	at := place{url: g.URL, key: g.Key, namespace: g.Namespace}
	if g.Profile == "" {
		at = at.or(place{os.Getenv("PUNCTUAL_URL"), os.Getenv("PUNCTUAL_KEY"), os.Getenv("PUNCTUAL_NAMESPACE")})
	}
	if p.URL = cmp.Or(p.URL, defaultURL); at.url != "" && strings.TrimRight(at.url, "/") != strings.TrimRight(p.URL, "/") {
		p.Key = ""
	}
	return at.or(place{p.URL, p.Key, p.Namespace}), nil
}

// or fills in what is not known from b.
func (a place) or(b place) place {
	return place{cmp.Or(a.url, b.url), cmp.Or(a.key, b.key), cmp.Or(a.namespace, b.namespace)}
}

// lineOf finds where a file is wrong.
var lineOf = regexp.MustCompile(`line \d+`)

// readProfile returns the profile of that name, with its key; without a name the current one, or an
// empty one.
func readProfile(c *Console, name string) (p profile, err error) {
	path := configPath()
	text, err := os.ReadFile(path) //nolint:gosec // the user chooses where the file is
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return p, fmt.Errorf("the configuration file cannot be read: %w", err)
	}
	var file config
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true) // a wrong name must not send requests to another service
	if err := decoder.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		// The error of YAML may quote a key.
		return p, usage("%s is not of the form that docs/cli.md describes: %s", path, cmp.Or(lineOf.FindString(err.Error()), "no YAML"))
	}
	p, exists := file.Profiles[cmp.Or(name, file.Current)]
	if name == "" && file.Current == "" {
		return p, nil
	}
	if !exists {
		return p, usage("there is no profile %q in %s", cmp.Or(name, file.Current), path)
	}
	if p.Key != "" {
		warnIfReadable(c, path)
	}
	if p.Key == "" && p.KeyFile != "" {
		p.Key, err = readKey(c, filepath.Dir(path), p.KeyFile)
	}
	return p, err
}

func configPath() string {
	dir := os.Getenv("XDG_CONFIG_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil { // nobody has a file here
			return ""
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "punctual", "config.yaml")
}

func readKey(c *Console, dir, path string) (string, error) {
	if rest, isHome := strings.CutPrefix(path, "~/"); isHome {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("the keyFile of the profile: %w", err)
		}
		path = filepath.Join(home, rest)
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	text, err := os.ReadFile(path) //nolint:gosec // the user chooses where the file is
	if err != nil {
		return "", fmt.Errorf("the keyFile of the profile cannot be read: %w", err)
	}
	warnIfReadable(c, path)
	return strings.TrimSpace(string(text)), nil
}

// warnIfReadable warns about a file with a key that others than its owner may read.
func warnIfReadable(c *Console, path string) {
	info, err := os.Stat(path)
	if err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		fmt.Fprintf(c.Err, "punctual: warning: others can read the key in %s; run: chmod 600 %s\n", path, path)
	}
}
