package config

import (
	"reflect"
	"slices"
	"strings"
)

// live are the settings that take effect while the server runs.
var live = []string{"log.level", "mail.", "local_recovery.", "tls.", "mutual_tls.tls."}

// Changes compares two configurations and returns the changed settings that take effect
// now, and those that need a restart, both in the order of the file.
func Changes(was, is File) (now, restart []string) {
	walk("", reflect.ValueOf(was), reflect.ValueOf(is), func(key string) {
		if slices.ContainsFunc(live, func(l string) bool { return key == l || strings.HasSuffix(l, ".") && strings.HasPrefix(key, l) }) {
			now = append(now, key)
			return
		}
		restart = append(restart, key)
	})
	return now, restart
}

func walk(prefix string, a, b reflect.Value, differs func(key string)) {
	for i := range a.NumField() {
		key := prefix + a.Type().Field(i).Tag.Get("yaml")
		if a.Field(i).Kind() == reflect.Struct {
			walk(key+".", a.Field(i), b.Field(i), differs)
			continue
		}
		empty := a.Field(i).Kind() == reflect.Slice && a.Field(i).Len()+b.Field(i).Len() == 0
		if !empty && !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
			differs(key)
		}
	}
}

// Live returns the new configuration with the old value of every setting that needs a
// restart.
func Live(was, is File) File {
	out := was
	out.Log.Level, out.Mail, out.LocalRecovery, out.TLS, out.MutualTLS.TLS = is.Log.Level, is.Mail, is.LocalRecovery, is.TLS, is.MutualTLS.TLS
	return out
}
