package dashboard

import (
	"errors"
	"net/http"
	"strings"
	"time"
)

// loginPage is what the page to log in shows.
type loginPage struct {
	Next  string
	Name  string
	Error string
}

// ownPath returns a path of the dashboard to go on with; nothing else is gone to.
func ownPath(next string) string {
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return next
}

func (s *Server) getLogin(w http.ResponseWriter, r *http.Request) error {
	if s.options.Token == nil {
		return errNoActing
	}
	return s.show(w, r, http.StatusOK, "login", view{Title: "Log in", Body: loginPage{Next: ownPath(r.FormValue("next"))}})
}

func (s *Server) postLogin(w http.ResponseWriter, r *http.Request) error {
	if s.options.Token == nil {
		return errNoActing
	}
	body := loginPage{Next: ownPath(r.PostFormValue("next")), Name: plainName(r.PostFormValue("name"))}
	given := strings.TrimSpace(r.PostFormValue("token"))
	if err := s.keeper.check(given); err != nil {
		if !errors.Is(err, errToken) {
			return err
		}
		s.log.WarnContext(r.Context(), "somebody shows the dashboard a wrong token", "address", addressOf(r))
		body.Error = "This is not the token."
		return s.show(w, r, http.StatusUnauthorized, "login", view{Title: "Log in", Body: body})
	}
	http.SetCookie(w, cookie(r, seal(given, body.Name, time.Now().Add(sessionAge)), sessionAge))
	http.Redirect(w, r, body.Next, http.StatusSeeOther)
	return nil
}

func (s *Server) postLogout(w http.ResponseWriter, r *http.Request) error {
	http.SetCookie(w, cookie(r, "", -time.Second))
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}
