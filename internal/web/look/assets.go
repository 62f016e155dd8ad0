package look

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
)

//go:embed assets
var assetFiles embed.FS

// assetRoot is where assets are served. Their names carry a hash of their
// contents, so browsers may keep them for ever and never hold a stale one.
const assetRoot = "/assets/"

type asset struct {
	body []byte
	kind string
}

// assets are the embedded files by their hashed name, and the hashed paths by
// their plain name.
type assets struct {
	files map[string]asset
	paths map[string]string
}

func loadAssets() (*assets, error) {
	a := &assets{files: map[string]asset{}, paths: map[string]string{}}
	entries, err := fs.ReadDir(assetFiles, "assets")
	if err != nil {
		return nil, err
	}
	// Pictures come before the style sheet that names them.
	slices.SortStableFunc(entries, func(x, y fs.DirEntry) int { return cmp.Compare(rank(x.Name()), rank(y.Name())) })
	for _, e := range entries {
		body, err := fs.ReadFile(assetFiles, "assets/"+e.Name())
		if err != nil {
			return nil, err
		}
		for plain, hashed := range a.paths {
			body = bytes.ReplaceAll(body, []byte(`url("`+plain+`")`), []byte(`url("`+hashed+`")`))
		}
		sum := sha256.Sum256(body)
		ext := path.Ext(e.Name())
		hashed := strings.TrimSuffix(e.Name(), ext) + "-" + hex.EncodeToString(sum[:8]) + ext
		kind := mime.TypeByExtension(ext)
		if ext == ".js" {
			kind = "text/javascript; charset=utf-8"
		}
		a.files[hashed] = asset{body: body, kind: kind}
		a.paths[e.Name()] = assetRoot + hashed
	}
	return a, nil
}

func rank(name string) int {
	if path.Ext(name) == ".css" {
		return 1
	}
	return 0
}

// path returns where an asset is served; a template that names one which does
// not exist fails to render.
func (a *assets) path(name string) (string, error) {
	p, ok := a.paths[name]
	if !ok {
		return "", fmt.Errorf("look: no asset %q", name)
	}
	return p, nil
}

func (a *assets) serve(w http.ResponseWriter, r *http.Request) error {
	f, ok := a.files[r.PathValue("name")]
	if !ok {
		return errNoPage
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Content-Length", strconv.Itoa(len(f.body)))
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	_, err := w.Write(f.body)
	return err
}
