package web

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
)

// SitesOf are the sites of an application's settings: for each host one of the pages, or
// its root where no page is there for it. Left are hosts that cannot be attacked, and why.
// scheme is Countersign's own.
func SitesOf(application string, settings json.RawMessage, scheme string, pages []string) (sites []Site, left map[string]string, err error) {
	var s struct {
		Hosts []string `json:"hosts"`
	}
	if err := json.Unmarshal(settings, &s); err != nil {
		return nil, nil, fmt.Errorf("the settings of %s cannot be read", application)
	}
	left = map[string]string{}
	for _, host := range s.Hosts {
		page := ""
		if i := slices.IndexFunc(pages, func(p string) bool { return Serves(host, p) }); i >= 0 {
			page = pages[i]
		}
		switch {
		case page == "" && strings.HasPrefix(host, "*."):
			left[host] = "it stands for many hosts; name a page of one of them with --page"
			continue
		case page == "":
			page = scheme + "://" + host + "/"
		}
		sites = append(sites, Site{Application: application, Door: host, URL: page})
	}
	return sites, left, nil
}

// Serves reports whether a host of the settings, which may begin with *. for one label, is
// that of a page.
func Serves(host, page string) bool {
	u, err := url.Parse(page)
	if err != nil || u.Host == "" {
		return false
	}
	at := strings.ToLower(u.Host)
	if h, port, err := net.SplitHostPort(at); err == nil && (u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80") {
		at = h
	}
	if rest, wild := strings.CutPrefix(host, "*"); wild {
		label, of, _ := strings.Cut(at, ".")
		return label != "" && "."+of == rest
	}
	return at == strings.ToLower(host)
}
