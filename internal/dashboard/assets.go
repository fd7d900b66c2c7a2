package dashboard

import (
	"crypto/sha256"
	_ "embed" // the style and the script
	"encoding/hex"
	"net/http"
)

//go:embed static/dashboard.css
var styleSheet []byte

//go:embed static/dashboard.js
var script []byte

//go:embed static/icon.svg
var icon []byte

// assets are where the style and the script are, under names that change with
// their content, so that browsers keep them.
type assets struct{ Style, Script, Icon string }

func loadAssets() assets {
	return assets{
		Style:  "/static/" + digest(styleSheet) + "/dashboard.css",
		Script: "/static/" + digest(script) + "/dashboard.js",
		Icon:   "/static/" + digest(icon) + "/icon.svg",
	}
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:6])
}

func (s *Server) getAsset(w http.ResponseWriter, r *http.Request) error {
	var content []byte
	switch r.PathValue("file") {
	case "dashboard.css":
		content = styleSheet
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
	case "dashboard.js":
		content = script
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
	case "icon.svg":
		content = icon
		w.Header().Set("Content-Type", "image/svg+xml")
	}
	if content == nil || r.PathValue("digest") != digest(content) {
		return errNoPage
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(content) // a client that has gone needs no answer
	return nil
}
