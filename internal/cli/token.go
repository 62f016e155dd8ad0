package cli

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	admintoken "countersign/internal/admin/token"
	"countersign/internal/server"
	"countersign/internal/ticket"
	"countersign/internal/tokenfile"
)

type tokenCommand struct {
	List    do[admintoken.List]   `cmd:""`
	Import  tokenImport           `cmd:"" help:"Say what a token file holds, and with --commit put its tokens into stock: all, or none."`
	Preview tokenPreview          `cmd:"" help:"Say what importing a token file would do; the same as import without --commit."`
	Stage   tokenStage            `cmd:"" help:"Send a token file and print what token.import is to be asked with, for programs."`
	Assign  do[admintoken.Assign] `cmd:""`
	Resync  do[admintoken.Resync] `cmd:""`
	PIN     do[admintoken.PIN]    `cmd:"" name:"pin"`
	Lost    do[admintoken.Lost]   `cmd:""`
	Return  do[admintoken.Return] `cmd:""`
	Revoke  do[admintoken.Revoke] `cmd:""`
}

// tokenSource is a token file on this machine. It is read here, so that neither
// the file nor what opens it goes to the server; the tokens do.
type tokenSource struct {
	File         string `arg:"" type:"existingfile" help:"The file."`
	Format       string `required:"" enum:"pskc,oath-csv,yubico-csv,entra-csv,privacyidea,linotp,multiotp,authelia,privacyidea-csv" help:"How it is written: ${enum}."`
	KeyFile      string `placeholder:"FILE" type:"existingfile" help:"The key that a PSKC file is encrypted with: hexadecimal, or 16, 24 or 32 bytes."`
	PasswordFile string `placeholder:"FILE" type:"existingfile" help:"The password that a PSKC file is encrypted with."`
	Digits       int    `help:"How many digits the codes have where the file does not say: 6 when left out."`
	Algorithm    string `enum:",SHA1,SHA256,SHA512" default:"" help:"The hash of tokens whose file does not say: SHA1, SHA256 or SHA512."`
}

func (s *tokenSource) options() (tokenfile.Options, error) {
	o := tokenfile.Options{Format: s.Format, Digits: s.Digits, Algorithm: s.Algorithm, Now: time.Now()}
	var err error
	if o.Check, err = importable(); err != nil {
		return o, err
	}
	if s.KeyFile != "" {
		b, err := os.ReadFile(s.KeyFile)
		if err != nil {
			return o, err
		}
		o.Key = b
		if text, err := hex.DecodeString(strings.TrimSpace(string(b))); err == nil {
			o.Key = text
		}
	}
	if s.PasswordFile != "" {
		b, err := os.ReadFile(s.PasswordFile)
		if err != nil {
			return o, err
		}
		o.Password = []byte(strings.TrimRight(string(b), "\r\n"))
	}
	return o, nil
}

// importable says what the server would refuse about a token, so that it is said
// line by line and before anything is sent. Of HOTP and TOTP the file's reader says
// so.
func importable() (func(tokenfile.Token) error, error) {
	all, err := server.EveryKind()
	if err != nil {
		return nil, err
	}
	tokens := all.Tokens()
	return func(t tokenfile.Token) error {
		if t.Kind == tokenfile.HOTP || t.Kind == tokenfile.TOTP {
			return nil
		}
		_, err := tokens.Import(server.SeedOf(t))
		return err
	}, nil
}

// read reads the file from its beginning, with a bar on the way.
func (s *tokenSource) read(what string, each func(tokenfile.Token) error) (tokenfile.Report, error) {
	o, err := s.options()
	if err != nil {
		return tokenfile.Report{}, err
	}
	return throughBar(s.File, what, func(r io.Reader) (tokenfile.Report, error) { return tokenfile.Read(r, o, each) })
}

// judge reads the whole file, says what it forgave, and complains of all that is wrong
// with it.
func (s *tokenSource) judge(each func(tokenfile.Token) error) (tokenfile.Report, error) {
	report, err := s.read("Reading", each)
	if err != nil {
		return report, err
	}
	return report, usable(report, filepath.Base(s.File))
}

func nothing(tokenfile.Token) error { return nil }

// upload sends the tokens of a file that was judged, a part at a time.
func (s *tokenSource) upload(ctx context.Context, c *client) (admintoken.Batch, error) {
	u := &upload{parts: parts{ctx: ctx, client: c}, batch: admintoken.Batch{Upload: ticket.NewSecret(), File: filepath.Base(s.File)}}
	report, err := s.read("Sending", u.add)
	if err == nil && !report.OK() {
		err = fmt.Errorf("%s changed while it was read; nothing was imported", filepath.Base(s.File))
	}
	if err == nil && len(u.rows) > 0 {
		err = u.send()
	}
	u.batch.Digest = u.sum.Digest()
	return u.batch, err
}

// upload is a file on its way.
type upload struct {
	parts
	batch admintoken.Batch
	rows  []admintoken.Row
	size  int // of the rows, about, in bytes
}

func (u *upload) add(t tokenfile.Token) error {
	u.rows = append(u.rows, admintoken.Row{Line: t.Line, Serial: t.Serial, Manufacturer: t.Manufacturer, Kind: t.Kind, Suite: t.Suite, Algorithm: t.Algorithm,
		Digits: t.Digits, Period: t.Period, Counter: t.Counter, Secret: t.Secret, Public: t.Public, Private: t.Private, Issued: t.Issued})
	u.size += 220 + len(t.Serial) + len(t.Manufacturer) + len(t.Suite) + len(t.Public) + 2*len(t.Secret)
	if len(u.rows) < admintoken.RowsPerPart && u.size < partSize {
		return nil
	}
	return u.send()
}

func (u *upload) send() error {
	if err := u.stage(&admintoken.Stage{Upload: u.batch.Upload, Part: u.batch.Parts, Rows: u.rows}); err != nil {
		return err
	}
	u.batch.Parts++
	u.batch.Count += len(u.rows)
	u.rows, u.size = u.rows[:0], 0
	return nil
}

type tokenStage struct {
	tokenSource `embed:""`
}

func (t *tokenStage) Run(ctx context.Context, conn *connection) error {
	c, err := conn.connect()
	if err != nil {
		return err
	}
	if _, err := t.judge(nothing); err != nil {
		return err
	}
	batch, err := t.upload(ctx, c)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(batch)
	if err != nil {
		return err
	}
	return c.print(os.Stdout, raw)
}

type tokenPreview struct {
	tokenSource `embed:""`
}

func (t *tokenPreview) Run(ctx context.Context, conn *connection) error {
	return t.preview(ctx, conn)
}

// preview prints what would be imported, line by line, and what stands against it.
func (s *tokenSource) preview(ctx context.Context, conn *connection) error {
	c, err := conn.connect()
	if err != nil {
		return err
	}
	report, err := s.judge(nothing)
	if err != nil {
		return err
	}
	batch, err := s.upload(ctx, c)
	if err != nil {
		return err
	}
	raw, err := c.do(ctx, &admintoken.Preview{Batch: batch})
	if err != nil {
		return err
	}
	var answer admintoken.Previewed
	if err := json.Unmarshal(raw, &answer); err != nil {
		return err
	}
	if conn.JSON {
		return c.print(os.Stdout, raw)
	}
	if err := s.show(); err != nil {
		return err
	}
	if report.Left > 0 {
		fmt.Printf("%d PINs that the file holds are left out.\n", report.Left)
	}
	for _, serial := range answer.Known {
		fmt.Fprintf(os.Stderr, "token %q is there already\n", serial)
	}
	if len(answer.Known) > 0 {
		return errors.New("with these nothing would be imported")
	}
	fmt.Printf("%d tokens would be imported. Nothing was changed; say --commit to import them.\n", answer.Count)
	return nil
}

// show prints each token on a line; never its secret.
func (s *tokenSource) show() error {
	all, err := server.EveryKind()
	if err != nil {
		return err
	}
	tokens := all.Tokens()
	out := bufio.NewWriter(os.Stdout)
	fmt.Fprintf(out, "%8s  %-20s  %-24s  %s\n", "LINE", "SERIAL", "MANUFACTURER", "KIND")
	_, err = s.read("Reading", func(t tokenfile.Token) error {
		_, err := fmt.Fprintf(out, "%8d  %-20s  %-24s  %s\n", t.Line, t.Serial, t.Manufacturer, tokens.Says(t))
		return err
	})
	return errors.Join(err, out.Flush())
}

type tokenImport struct {
	tokenSource `embed:""`
	Commit      bool `help:"Import them. Without it nothing is changed."`
}

func (t *tokenImport) Run(ctx context.Context, conn *connection) error {
	if !t.Commit {
		return t.preview(ctx, conn)
	}
	c, err := conn.connect()
	if err != nil {
		return err
	}
	if _, err := t.judge(nothing); err != nil {
		return err
	}
	batch, err := t.upload(ctx, c)
	if err != nil {
		return err
	}
	answer, err := c.do(ctx, &admintoken.Import{Batch: batch})
	if err != nil {
		return err
	}
	return c.print(os.Stdout, answer)
}
