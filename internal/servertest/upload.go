package servertest

import (
	"bytes"
	"mime/multipart"
	"net/url"
)

// Upload sends a form with a file.
func (p *Person) Upload(path, name, text string, fields ...string) {
	p.W.T.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	m := TokenField.FindStringSubmatch(p.Page)
	if m == nil {
		p.W.T.Fatalf("there is no form on the page:\n%s", p.Page)
	}
	for i, all := 0, append([]string{"form-token", m[1]}, fields...); i+1 < len(all); i += 2 {
		if err := form.WriteField(all[i], all[i+1]); err != nil {
			p.W.T.Fatal(err)
		}
	}
	part, err := form.CreateFormFile("file", name)
	if err == nil {
		_, err = part.Write([]byte(text))
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		p.W.T.Fatal(err)
	}
	p.Take(p.Client.Post(p.W.Base+path, form.FormDataContentType(), &b))
}

// PostMany is Post with a field that is there several times.
func (p *Person) PostMany(path, name string, values []string, fields ...string) {
	p.W.T.Helper()
	m := TokenField.FindStringSubmatch(p.Page)
	if m == nil {
		p.W.T.Fatalf("there is no form on the page:\n%s", p.Page)
	}
	form := url.Values{"form-token": {m[1]}, name: values}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	p.Take(p.Client.PostForm(p.W.Base+path, form))
}
