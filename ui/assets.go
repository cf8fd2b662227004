package ui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
)

//go:embed assets
var embedded embed.FS

// asset is a file that pages use.
type asset struct {
	contentType     string
	content, zipped []byte
}

// assetsPath is where assets are served. The digest of all of them follows it, so that browsers may
// keep an asset for ever: when one changes, all have new paths.
const assetsPath = "/assets/"

// assets has all files by their paths, zipped once for all instances of a process.
var assets = sync.OnceValue(func() (all struct {
	files  map[string]asset
	digest string
},
) {
	all.files = map[string]asset{}
	sum := sha256.New()
	err := fs.WalkDir(embedded, "assets", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := embedded.ReadFile(name)
		if err != nil {
			return err
		}
		file := asset{contentType: mime.TypeByExtension(path.Ext(name)), content: content}
		switch path.Ext(name) { // the machine may know other types
		case ".js":
			file.contentType = "text/javascript; charset=utf-8"
		case ".css":
			file.contentType = "text/css; charset=utf-8"
		case ".svg":
			file.contentType = "image/svg+xml"
		case ".LICENSE":
			file.contentType = "text/plain; charset=utf-8"
		}
		var zipped bytes.Buffer
		writer, _ := gzip.NewWriterLevel(&zipped, gzip.BestCompression) // the level is valid
		_, _ = writer.Write(content)                                    // a buffer takes everything
		_ = writer.Close()
		if file.zipped = zipped.Bytes(); len(file.zipped) >= len(content) {
			file.zipped = nil
		}
		_, _ = sum.Write([]byte(name + "\x00"))
		_, _ = sum.Write(content)
		all.files[strings.TrimPrefix(name, "assets/")] = file
		return nil
	})
	if err != nil {
		panic(err) // the files are in the binary
	}
	all.digest = hex.EncodeToString(sum.Sum(nil))[:12]
	return all
})

// assetURL returns the path of an asset.
func assetURL(name string) string { return assetsPath + assets().digest + "/" + name }

// serveAsset serves an asset. A path with the digest of another version gets this version's file,
// and may not keep it: instances of two versions serve during an upgrade.
func serveAsset(w http.ResponseWriter, r *http.Request) {
	digest, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, assetsPath), "/")
	file, exists := assets().files[name]
	if !exists {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", file.contentType)
	h.Set("Vary", "Accept-Encoding")
	if digest == assets().digest {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	content := file.content
	if file.zipped != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		content = file.zipped
	}
	_, _ = w.Write(content) // an error means that the client has gone
}
