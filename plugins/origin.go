package plugins

import (
	"net/url"
	"reflect"
	"runtime"
	"strings"

	"github.com/bbmd-dev/bbmd/registry"
)

// packageOf returns the import path of the package that a compiled Work's function
// is in, or nothing.
func packageOf(w registry.Work) string {
	var function reflect.Value
	switch {
	case w.Run != nil:
		function = reflect.ValueOf(w.Run)
	case w.SQL != nil:
		function = reflect.ValueOf(w.SQL)
	default:
		return ""
	}
	found := runtime.FuncForPC(function.Pointer())
	if found == nil {
		return ""
	}
	name := found.Name() // as example.com/works.init.func1
	slash := strings.LastIndexByte(name, '/') + 1
	last, _, _ := strings.Cut(name[slash:], ".")
	if unescaped, err := url.PathUnescape(last); err == nil { // a dot in it is %2e
		last = unescaped
	}
	return name[:slash] + last
}
