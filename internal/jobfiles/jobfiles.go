// Package jobfiles reads files with definitions of jobs, in YAML or JSON, as people keep them in
// git.
package jobfiles

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Definition is the definition of one job, and where it stands.
type Definition struct {
	// File is the name of its file; "-" for the standard input.
	File string
	// Key is the key of the job.
	Key string

	node *yaml.Node
}

// A Fault is what is wrong in a file.
type Fault struct {
	File   string
	Line   int
	Detail string
}

func (f *Fault) Error() string { return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Detail) }

// At returns a fault of a field of the definition, such as target.url. If there is no such field,
// the fault is on the line of the innermost field around it.
func (d Definition) At(field, detail string) *Fault {
	node, line := d.node, d.node.Line
	for name := range strings.SplitSeq(field, ".") {
		next, nameNode := child(node, name)
		if next == nil {
			break
		}
		node, line = next, cmp.Or(nameNode.Line, line)
	}
	if field != "" {
		detail = field + ": " + detail
	}
	return &Fault{d.File, line, detail}
}

// child returns what a mapping or a list has under a name, and the node whose line is to be shown.
// The name of a header may have dots; then it is not found, and the line is less exact.
func child(node *yaml.Node, name string) (value, at *yaml.Node) {
	node = target(node)
	if n, err := strconv.Atoi(name); err == nil && node.Kind == yaml.SequenceNode && n < len(node.Content) {
		return node.Content[n], node.Content[n]
	}
	if node.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == name {
				return node.Content[i+1], node.Content[i]
			}
		}
	}
	return nil, nil
}

// Read reads the definitions of files, of the files of directories and the directories in them, and
// of in, which is called "-". It returns all faults that it finds.
func Read(paths []string, in io.Reader) (all []Definition, err error) {
	var files []string
	for _, path := range paths {
		found, err := filesOf(path)
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("there is no file with the ending .yaml, .yml or .json in %s", strings.Join(paths, ", "))
	}
	var faults []error
	seen := map[string]Definition{}
	for _, file := range files {
		found, err := readFile(file, in)
		if err != nil {
			faults = append(faults, err)
		}
		for _, d := range found {
			if before, isTaken := seen[d.Key]; isTaken {
				faults = append(faults, d.At("key", fmt.Sprintf("%q is the key of %s:%d, too", d.Key, before.File, before.node.Line)))
				continue
			}
			seen[d.Key] = d
			all = append(all, d)
		}
	}
	return all, errors.Join(faults...)
}

// filesOf returns a file, or the files of a directory that have definitions, in the order of their
// names. What begins with a dot in a directory is left out.
func filesOf(path string) (files []string, err error) {
	if path == "-" {
		return []string{path}, nil
	}
	err = filepath.WalkDir(path, func(at string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case at != path && strings.HasPrefix(entry.Name(), "."):
			if entry.IsDir() {
				return filepath.SkipDir
			}
		case entry.IsDir():
		case at == path || slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(at)):
			files = append(files, at)
		}
		return nil
	})
	return files, err
}

// ReadText reads a file, or in, which is called "-".
func ReadText(file string, in io.Reader) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(in)
	}
	return os.ReadFile(file) //nolint:gosec // the user names the files
}

func readFile(file string, in io.Reader) ([]Definition, error) {
	text, err := ReadText(file, in)
	if err != nil {
		return nil, err
	}
	if json.Valid(text) { // YAML knows other escapes and less white space
		node, err := FromJSON(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		return definitions(file, node)
	}
	var all []Definition
	var faults []error
	for decoder := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return all, errors.Join(faults...)
		}
		if err != nil {
			return all, errors.Join(append(faults, fmt.Errorf("%s: %s", file, strings.TrimPrefix(err.Error(), "yaml: ")))...)
		}
		found, err := definitions(file, document.Content[0])
		all = append(all, found...)
		if err != nil {
			faults = append(faults, err)
		}
	}
}

// definitions returns the definitions of a document: it is one, a list of them, or {jobs: [...]}.
func definitions(file string, node *yaml.Node) (all []Definition, err error) {
	list := []*yaml.Node{node}
	if jobs, _ := child(node, "jobs"); jobs != nil && node.Kind == yaml.MappingNode {
		if len(node.Content) > 2 {
			return nil, &Fault{file, node.Line, "beside jobs there is no other field"}
		}
		node = target(jobs)
		if node.Kind != yaml.SequenceNode && node.ShortTag() != "!!null" {
			return nil, &Fault{file, node.Line, "jobs is a list of definitions"}
		}
		list = node.Content
	} else if node.Kind == yaml.SequenceNode {
		list = node.Content
	} else if node.ShortTag() == "!!null" { // a document of comments only
		return nil, nil
	}
	var faults []error
	for _, one := range list {
		one = target(one)
		d := Definition{File: file, node: one}
		key, _ := child(one, "key")
		switch {
		case one.Kind != yaml.MappingNode:
			faults = append(faults, d.At("", "a definition is a mapping of fields"))
		case key == nil || target(key).Kind != yaml.ScalarNode || target(key).ShortTag() == "!!null" || target(key).Value == "":
			faults = append(faults, d.At("key", "is missing: a definition in a file needs a key"))
		default:
			d.Key = target(key).Value
			all = append(all, d)
		}
	}
	return all, errors.Join(faults...)
}
