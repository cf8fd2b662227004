package executor

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"punctual/internal/outbound"
	"punctual/internal/sanitize"
)

// maxHTTPError is how long, in bytes, the text of an unknown error can be.
const maxHTTPError = 200

// describeHTTP returns a short error that tells the user who named the target why there was no
// answer. It quotes neither the receiver, who may have written anything, nor the addresses of
// names.
func describeHTTP(ctx context.Context, err error, hide redactor) error {
	if ctx.Err() != nil {
		return errors.New("there was no answer in time")
	}
	if refused, ok := errors.AsType[*outbound.RefusedError](err); ok {
		return refused
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return errors.New("the host could not be looked up")
	}
	if certificate, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return errors.New("the certificate is not valid: " + plainText(certificate.Err, hide))
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return errors.New("what answers at this port does not speak TLS")
	}
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("the connection was refused")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return errors.New("the connection was closed before the answer was complete")
	case errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("there was no connection in time")
	}
	return errors.New("the request failed: " + plainText(innermost(err), hide))
}

func innermost(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// plainText returns an error's text up to the first quotation in it.
func plainText(err error, hide redactor) string {
	text, _, _ := strings.Cut(err.Error(), `"`)
	shown, _ := sanitize.Text(hide.redact(text, len(text)), maxHTTPError)
	return strings.TrimRight(shown, " :")
}
